"""Rows of Parquet and CSV files as a stream of record batches, a few columns at a time."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tfrec.data.input_files import InputFile, find_inputs
from tfrec.errors import DataError, did_you_mean

BATCH_ROWS = 1024
"""Rows of a batch: sequences of that many rows stay within the processor's cache."""

_PAGE_BYTES = 1 << 20
_CSV_BLOCK = 1 << 23


@dataclass(frozen=True)
class ImpressionSource:
    """An input file.

    Attributes:
        file: Where it is.
        columns: Its columns with their arrow types; of CSV files text.
        rows: Number of rows; of CSV files counted by reading them.
    """

    file: InputFile
    columns: dict[str, pa.DataType]
    rows: int

    @property
    def path(self) -> str:
        """Path as the user gave it."""
        return self.file.path

    def batches(self, columns: Sequence[str], first_row: int = 0) -> Iterator[pa.RecordBatch]:
        """Reads some columns from a row on; batches have at most `BATCH_ROWS` rows.

        Raises:
            DataError: The file is damaged.
        """
        try:
            stream = self._parquet if self.file.format == "parquet" else self._csv
            yield from stream(list(columns), first_row)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(
                f"The file cannot be read: {str(error).splitlines()[0]}", file=self.path, remedy="Write it again."
            ) from error

    def _parquet(self, columns: list[str], first_row: int) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.file.path, buffer_size=_PAGE_BYTES) as file:
            groups: list[int] = []
            skip = first_row
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if not groups and skip >= rows:
                    skip -= rows
                else:
                    groups.append(group)
            if groups:
                yield from _skipped(
                    file.iter_batches(BATCH_ROWS, row_groups=groups, columns=columns, use_threads=False), skip
                )

    def _csv(self, columns: list[str], first_row: int) -> Iterator[pa.RecordBatch]:
        # Everything is read as text, so that the type of a column does not depend on its first rows.
        with _open_csv(self.file, columns) as reader:
            yield from _skipped((piece for batch in reader for piece in _pieces(batch)), first_row)


def open_sources(patterns: tuple[str, ...], *, split: str | None, file_format: str | None) -> list[ImpressionSource]:
    """Opens input files.

    Args:
        patterns: Files, globs and directories.
        split: Split that all of them belong to.
        file_format: `parquet`, `csv` or `tsv`; None: by suffix.

    Raises:
        DataError: A file is missing, damaged, remote or of another format.
    """
    return [_open(file) for file in find_inputs(patterns, split=split, file_format=file_format)]


def check_columns(sources: Sequence[ImpressionSource], wanted: Sequence[str]) -> None:
    """Raises DataError, with the columns that have no role, unless every file has all that are wanted."""
    for source in sources:
        for name in wanted:
            if name not in source.columns:
                others = set(source.columns) - set(wanted)
                raise DataError(
                    "The column is missing.",
                    file=source.path,
                    column=name,
                    remedy=did_you_mean(name, others) if others else "Write the file with it, or correct the schema.",
                )


def expand_names(patterns: Sequence[str], source: ImpressionSource) -> list[str]:
    """Replaces patterns such as `history_*` by the columns they match, in the order of the file.

    Raises:
        DataError: A pattern matches nothing.
    """
    names: list[str] = []
    for pattern in patterns:
        if not set(pattern) & set("*?"):
            names.append(pattern)
            continue
        matches = [name for name in source.columns if fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            raise DataError(f"No column matches `{pattern}`.", file=source.path, remedy="Correct the schema.")
        names.extend(match for match in matches if match not in names)
    return names


def _open(file: InputFile) -> ImpressionSource:
    if file.remote is not None:
        raise DataError(
            "Impressions are read from local files.", file=file.path, remedy="Copy the file here, then convert it."
        )
    try:
        if file.format == "parquet":
            with pq.ParquetFile(file.path) as opened:
                schema = opened.schema_arrow
                return ImpressionSource(file, dict(zip(schema.names, schema.types)), opened.metadata.num_rows)  # noqa: B905
        if file.format in ("csv", "tsv"):
            with _open_csv(file, None) as reader:
                names = reader.schema.names
                rows = sum(batch.num_rows for batch in reader)
            return ImpressionSource(file, {name: pa.string() for name in names}, rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"The file cannot be read: {str(error).splitlines()[0]}", file=file.path, remedy="Write it again."
        ) from error
    raise DataError(
        f"Impressions in the format `{file.format}` are not supported.",
        file=file.path,
        remedy="Use Parquet, CSV or TSV files.",
    )


def _open_csv(file: InputFile, columns: list[str] | None) -> pa_csv.CSVStreamingReader:
    parse = pa_csv.ParseOptions(delimiter="\t" if file.format == "tsv" else ",")
    read = pa_csv.ReadOptions(block_size=_CSV_BLOCK)
    with pa_csv.open_csv(file.path, read_options=read, parse_options=parse) as reader:
        names = reader.schema.names
    convert = pa_csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        include_columns=columns or [],
        null_values=[""],
        strings_can_be_null=True,
    )
    return pa_csv.open_csv(file.path, read_options=read, parse_options=parse, convert_options=convert)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _skipped(batches: Iterator[pa.RecordBatch], skip: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if skip >= batch.num_rows:
            skip -= batch.num_rows
        else:
            yield batch.slice(skip) if skip else batch
            skip = 0
