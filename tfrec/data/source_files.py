"""Input files as tables: which columns they have and how they are read."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.input_files import InputFile
from tfrec.data.sql import identifier, literal
from tfrec.errors import DataError
from tfrec.files import size_and_sha256

TEXT_FORMATS = ("csv", "tsv", "inter", "jsonl")
TABLE_NAME = "<table>"
_JSON_SAMPLE_LINES = 1000


@dataclass(frozen=True)
class SourceFile:
    """One input file, or the table handed to `convert`.

    Attributes:
        path: Path as given or found by a glob, for people; `<table>` for a table.
        location: Where the content is.
        format: `parquet`, one of `TEXT_FORMATS`, or `table`.
        split: The split the user assigned it to.
        named: Named by the user, not found by a glob or in a directory.
        columns: Column name (without RecBole's `:type`) to duckdb type; text formats have only VARCHAR.
        headers: Column names as they stand in the file, in order.
        delimiter: Between columns of a text file.
    """

    path: str
    location: str
    format: str
    split: str | None
    named: bool
    columns: dict[str, str]
    headers: tuple[str, ...]
    delimiter: str = ","

    @property
    def is_text(self) -> bool:
        """Whether ids and times must be parsed from text."""
        return self.format in TEXT_FORMATS

    def relation(self) -> str:
        """Returns the SQL table expression that reads the file, columns named as in `columns`, rows in file order."""
        if self.format in ("parquet", "table"):
            return f"read_parquet({literal(self.location)})"
        types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in self.columns)
        if self.format == "jsonl":
            return f"read_json({literal(self.location)}, format='newline_delimited', columns={{{types}}})"
        quote = '"' if self.format == "csv" else ""
        return (
            f"read_csv({literal(self.location)}, auto_detect=false, header=true, delim={literal(self.delimiter)}, "
            f"quote={literal(quote)}, escape={literal(quote)}, nullstr='', columns={{{types}}})"
        )

    def value(self, database: duckdb.DuckDBPyConnection, column: str, row: int) -> object:
        """Returns the value of one cell, for error messages; `row` counts from 1."""
        found = database.execute(
            f"SELECT {identifier(column)} FROM {self.relation()} LIMIT 1 OFFSET {row - 1}"
        ).fetchone()
        return None if found is None else found[0]

    def checksum(self) -> tuple[int, str]:
        """Returns the size in bytes and the sha256 of the file."""
        with Path(self.location).open("rb") as file:
            return size_and_sha256(file)


def open_source(database: duckdb.DuckDBPyConnection, file: InputFile, location: str) -> SourceFile:
    """Reads the column names of an input file.

    Args:
        database: A connection, to read Parquet schemas with.
        file: The file.
        location: The local file with its content.

    Returns:
        The file with its columns.

    Raises:
        DataError: An unreadable file or a damaged header.
    """
    try:
        headers, columns, delimiter = _columns(database, location, file.format)
    except DataError as error:
        if location == file.path:
            raise
        problem = error.problem.replace(location, file.path)
        raise DataError(problem, file=file.path, row=error.row, remedy=error.remedy) from error
    return SourceFile(file.path, location, file.format, file.split, file.named, columns, headers, delimiter)


def table_source(table: pa.Table, database: duckdb.DuckDBPyConnection, directory: Path) -> SourceFile:
    """Makes an in-memory arrow table a source, by way of a Parquet file in `directory`.

    Raises:
        DataError: The table has no rows.
    """
    if not table.num_rows:
        raise DataError("The table has no rows.", file=TABLE_NAME, remedy="Pass a table with events.")
    location = str(directory / "table.parquet")
    pq.write_table(table, location)
    columns = _described(database, f"read_parquet({literal(location)})")
    return SourceFile(TABLE_NAME, location, "table", None, True, columns, tuple(columns))


def _columns(database: duckdb.DuckDBPyConnection, path: str, kind: str) -> tuple[tuple[str, ...], dict[str, str], str]:
    delimiter = "," if kind == "csv" else "\t"
    if kind == "parquet":
        try:
            columns = _described(database, f"read_parquet({literal(path)})")
        except duckdb.Error as error:
            raise DataError(
                f"Not a readable Parquet file ({first_line(error)}).", file=path, remedy="Write the file again."
            ) from error
        return tuple(columns), columns, delimiter
    try:
        if kind == "jsonl":
            headers = _json_keys(path)
        else:
            with _open_text(path) as file:
                line = file.readline()
            line = line.rstrip("\r\n")
            if kind == "csv":
                delimiter = _csv_delimiter(line)
            headers = next(csv.reader([line], delimiter=delimiter)) if kind == "csv" else line.split(delimiter)
    except (UnicodeDecodeError, OSError, EOFError, csv.Error) as error:
        raise DataError(
            f"Not a readable text file ({error}).", file=path, remedy="Write it again as UTF-8, or give --format."
        ) from error
    names = [header.rsplit(":", 1)[0] if kind == "inter" else header for header in headers]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"The header names the column `{repeated[0]}` twice.", file=path, remedy="Rename one of them.")
    return tuple(headers), dict.fromkeys(names, "VARCHAR"), delimiter


def _csv_delimiter(header: str) -> str:
    """A comma, unless the header has none and is cut by semicolons or tabs, as some spreadsheets write it."""
    outside = "".join(header.split('"')[::2])
    return next((mark for mark in (",", ";", "\t") if mark in outside), ",")


def _described(database: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {row[0]: row[1] for row in database.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def _open_text(path: str) -> io.TextIOBase:
    if path.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")  # type: ignore[return-value]
    return Path(path).open(encoding="utf-8-sig", newline="")


def _json_keys(path: str) -> list[str]:
    keys: dict[str, None] = {}
    with _open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if number > _JSON_SAMPLE_LINES:
                break
            if not line.strip():
                continue
            try:
                document = json.loads(line)
            except ValueError as error:
                raise DataError(f"Not JSON ({error}).", file=path, row=number, remedy="Correct the line.") from error
            if not isinstance(document, dict):
                raise DataError("Not a JSON object.", file=path, row=number, remedy="Write one object per line.")
            keys.update(dict.fromkeys(document))
    return list(keys)


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, without a final full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
