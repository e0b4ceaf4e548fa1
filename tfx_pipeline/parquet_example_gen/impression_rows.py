"""Impressions passed through row by row for click models, every column under its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.beam import job_files
from tfrec.data.beam.example_shards import ShardLayout, ShardSink, shard_records
from tfrec.data.beam.job_runner import Guarded, JobRunner, raise_task_errors
from tfrec.data.impressions.impression_options import ImpressionOptions
from tfrec.data.impressions.impression_sources import ImpressionSource, check_columns, open_sources
from tfrec.data.impressions.row_plan import SPLITS, assign_rows
from tfrec.data.manifest import ShardRecord
from tfrec.errors import ConfigError, DataError

_ROWS_PER_SHARD = 200_000
_MOST_SHARDS = 256


@dataclass(frozen=True)
class RowPiece:
    """One row group, and the split of each of its rows (see `row_plan`).

    Attributes:
        path: The file.
        group: Number of the row group.
        first: Position of its first row over all files.
        folds: One byte per row.
        number: Number of the piece.
    """

    path: str
    group: int
    first: int
    folds: bytes
    number: int


def write_impressions(
    jobs: JobRunner, options: ImpressionOptions, root: str, file: str, directory: str
) -> dict[str, list[ShardRecord]]:
    """Writes one example per row: numbers as floats or integers, text as bytes, lists as lists; nulls are left out.

    Args:
        jobs: The engine.
        options: Files, split rule and seed.
        root: Directory of the splits.
        file: Name of a shard with places for `split`, `number` and `count`.
        directory: Directory for the files of the job, which all workers can read and write.

    Returns:
        The records of the shards of every split that has rows.

    Raises:
        ConfigError: A file is not Parquet.
        DataError: A column is missing or of a type that examples cannot hold.
    """
    sources = _sources(options)
    check_columns(sources, [options.impressions.label])
    folds = assign_rows(options, sources)
    pieces = _pieces(sources, folds.tobytes())
    counts = {split: int(np.sum(folds == number)) for number, split in enumerate(SPLITS)}
    places = {
        split: max(1, min(_MOST_SHARDS, len(pieces), -(-rows // _ROWS_PER_SHARD))) for split, rows in counts.items()
    }
    layout = ShardLayout(root, file, True, {split: list(range(count - 1)) for split, count in places.items()})
    encoder = _RowEncoder(len(pieces), places)

    def build(pipeline: Any) -> None:
        import apache_beam as beam

        _ = (
            pipeline
            | beam.Create(pieces)
            | beam.Reshuffle()
            | beam.FlatMap(Guarded(encoder, directory).flat)
            | beam.GroupByKey()
            | beam.Map(Guarded(ShardSink(directory, layout, ["pos"]), directory))
        )

    jobs.run("impressions", build)
    raise_task_errors(directory)
    return shard_records(directory)


@dataclass(frozen=True)
class _RowEncoder:
    """Encodes pieces; travels to the workers."""

    pieces: int
    shards: dict[str, int]

    def __call__(self, piece: RowPiece) -> list[tuple[tuple[str, int], bytes]]:
        from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

        table = pq.ParquetFile(piece.path).read_row_group(piece.group).combine_chunks()
        columns = [_lists(table[name], piece.path, name) for name in table.column_names]
        records = RecordBatchToExamplesEncoder().encode(pa.RecordBatch.from_arrays(columns, table.column_names))
        folds = np.frombuffer(piece.folds, np.uint8)
        encoded = pa.array(records, pa.large_binary())
        found = []
        for fold, split in enumerate(SPLITS):
            rows = np.flatnonzero(folds == fold)
            if len(rows):
                chosen = {
                    "pos": pa.array(rows + piece.first),
                    "length": pa.array(np.ones(len(rows), np.int64)),
                    "record": encoded.take(pa.array(rows)),
                }
                shard = piece.number * self.shards[split] // self.pieces
                found.append(((split, shard), job_files.to_bytes(pa.table(chosen))))
        return found


def _sources(options: ImpressionOptions) -> list[ImpressionSource]:
    given = {None: options.input, "train": options.train, "valid": options.valid, "test": options.test}
    sources = [
        source
        for split, patterns in given.items()
        for source in open_sources(patterns, split=split, file_format=options.format)
    ]
    for source in sources:
        if source.file.format != "parquet":
            raise ConfigError(f"ParquetExampleGen reads Parquet only; `{source.path}` is {source.file.format}.")
    return sources


def _pieces(sources: Sequence[ImpressionSource], folds: bytes) -> list[RowPiece]:
    pieces: list[RowPiece] = []
    first = 0
    for source in sources:
        metadata = pq.ParquetFile(source.path).metadata
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            pieces.append(RowPiece(source.path, group, first, folds[first : first + rows], len(pieces)))
            first += rows
    return pieces


def _lists(column: pa.ChunkedArray, path: str, name: str) -> pa.Array:
    """A column as the lists of values that the encoder takes; a null becomes a missing feature."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind
    if pa.types.is_integer(inner) or pa.types.is_boolean(inner):
        target = pa.int64()
    elif pa.types.is_floating(inner) or pa.types.is_decimal(inner):
        target = pa.float32()
    elif pa.types.is_string(inner) or pa.types.is_large_string(inner):
        target = pa.large_binary()
    elif pa.types.is_timestamp(inner) or pa.types.is_date(inner):
        column, target = column.cast(pa.timestamp("us")), pa.int64()
    else:
        raise DataError(
            f"Examples cannot hold values of type {kind}.", file=path, column=name, remedy="Cast or drop the column."
        )
    array = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    missing = array.is_null().to_numpy(zero_copy_only=False)  # [rows]
    if inner is not kind:
        lengths = np.where(missing, 0, array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
        values = array.flatten()
    else:
        lengths, values = np.where(missing, 0, 1), array.drop_null()
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    marked = pa.array(offsets, mask=np.append(missing, False)) if missing.any() else pa.array(offsets)
    return pa.LargeListArray.from_arrays(marked, _cast(values, target))


def _cast(values: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_large_binary(target):
        return values.cast(pa.large_string()).cast(target)
    return values.cast(target, safe=False)
