"""Parquet logs in pieces that workers read independently: one row group each."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.beam import job_files
from tfrec.data.input_files import InputFile
from tfrec.data.source_files import SourceFile
from tfrec.errors import ConfigError, DataError

POSITION = "tfrec row"


@dataclass(frozen=True)
class LogPiece:
    """One row group of an input file; it has rows.

    Attributes:
        source: Number of the file.
        group: Number of the row group in it.
        first: Position of its first row over all files.
        rows: Its rows.
        file_first: Position of the first row of its file.
    """

    source: int
    group: int
    first: int
    rows: int
    file_first: int


class PieceSource(SourceFile):
    """A file of which one piece is at hand, as the view `piece` of a database."""

    def relation(self) -> str:
        """Returns the SQL table expression of the piece."""
        return '"piece"'


def open_sources(files: Sequence[InputFile]) -> tuple[list[SourceFile], list[LogPiece]]:
    """Reads the footers of all files.

    Args:
        files: Parquet files, local or remote.

    Returns:
        The files with their columns, and their pieces in order; row groups without rows are left out.

    Raises:
        ConfigError: A file is not Parquet.
        DataError: An unreadable file, or one without rows.
    """
    sources, pieces, position = [], [], 0
    with tempfile.TemporaryDirectory(prefix="tfrec-") as folder, duckdb.connect() as database:
        for number, file in enumerate(files):
            if file.format != "parquet":
                raise ConfigError(
                    f"`--runner` reads Parquet only; `{file.path}` is {file.format}.",
                    remedy="Convert it without --runner, or write it as Parquet first.",
                )
            location = file.remote.url if file.remote is not None else file.path
            try:
                with job_files.open_input(location) as opened:
                    footer = pq.ParquetFile(opened)
                    schema, metadata = footer.schema_arrow, footer.metadata
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(
                    f"Not a readable Parquet file ({error}).", file=file.path, remedy="Write the file again."
                ) from error
            if not metadata.num_rows and file.named:
                raise DataError("The file has no data rows.", file=file.path, remedy="Remove it from the input.")
            relation = job_files.table_sql(schema.empty_table(), Path(folder))
            described = database.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            columns = {row[0]: row[1] for row in described}
            source = SourceFile(file.path, location, "parquet", file.split, file.named, columns, tuple(columns))
            sources.append(source)
            file_first = position
            for group in range(metadata.num_row_groups):
                if rows := metadata.row_group(group).num_rows:  # an empty one would share its place with the next
                    pieces.append(LogPiece(number, group, position, rows, file_first))
                    position += rows
    if not position:
        raise DataError("No data rows in any input file.", file=sources[0].path, remedy="Check the input.")
    return sources, pieces


def read_piece(source: SourceFile, piece: LogPiece, columns: Sequence[str]) -> pa.Table:
    """Reads some columns of a piece; the column `tfrec row` is the position of each row over all files.

    Raises:
        DataError: The file is damaged.
    """
    names = list(dict.fromkeys(columns))
    try:
        with job_files.open_input(source.location) as opened:
            table = pq.ParquetFile(opened).read_row_group(piece.group, columns=names)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"The file cannot be read as parquet ({error}).", file=source.path, remedy="Write the file again."
        ) from error
    positions = pa.array(np.arange(piece.first, piece.first + piece.rows, dtype=np.int64))
    return table.append_column(POSITION, positions)


def cell(source: SourceFile, piece: LogPiece, column: str, position: int) -> object:
    """Returns the value of one cell, for error messages."""
    table = read_piece(source, piece, [column])
    value: object = table[column][position - piece.first].as_py()
    return value
