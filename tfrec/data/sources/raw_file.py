"""A file as its owner publishes it, and how duckdb reads it."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfrec.data.sql import identifier, literal
from tfrec.errors import DataError, did_you_mean

NO_DELIMITER = "\x1f"
"""Delimiter of files whose lines are read whole: the unit separator, which no text contains."""


@dataclass(frozen=True)
class RawFile:
    """Name and layout of one published file; with `.gz` after its name it is read as well.

    Attributes:
        name: File name.
        columns: duckdb type of every column that is used, by its name in the header; a file without header has exactly
            these columns, in this order. Not used for Parquet.
        delimiter: Between columns; None for Parquet.
        header: Whether the first line names the columns. Then their order is free and further columns are ignored.
        nulls: Texts that stand for a missing value.
        time_format: Format of TIMESTAMP columns; None = ISO 8601.
        encoding: `utf-8` or `latin-1`; a header is always read as UTF-8.
    """

    name: str
    columns: Mapping[str, str]
    delimiter: str | None = ","
    header: bool = True
    nulls: tuple[str, ...] = ("",)
    time_format: str | None = None
    encoding: Literal["utf-8", "latin-1"] = "utf-8"

    @property
    def is_parquet(self) -> bool:
        """Whether the file is Parquet, not text."""
        return self.delimiter is None

    def find(self, directory: Path) -> Path | None:
        """Returns the path of the file in `directory`, or None when it is not there."""
        names = (self.name,) if self.is_parquet else (self.name, f"{self.name}.gz")
        return next((directory / name for name in names if (directory / name).is_file()), None)

    def relation(self, path: Path, *, as_text: bool = False) -> str:
        """Returns the SQL table expression that reads the used columns, rows in file order.

        Args:
            path: Where the file is.
            as_text: Read every column as VARCHAR and missing values as they are written.

        Raises:
            DataError: The file is empty, is not text, or its header lacks a column.
        """
        if self.is_parquet:
            return f"read_parquet({literal(str(path))})"
        names = self._header(path) if self.header else list(self.columns)
        kinds = {name: "VARCHAR" if as_text else self.columns.get(name, "VARCHAR") for name in names}
        types = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items())
        quote = '"' if self.delimiter in (",", ";") else ""
        nulls = "" if as_text else f"nullstr=[{', '.join(literal(null) for null in self.nulls)}], "
        times = f"timestampformat={literal(self.time_format)}, " if self.time_format and not as_text else ""
        used = ", ".join(identifier(name) for name in self.columns)
        return (
            f"(SELECT {used} FROM read_csv({literal(str(path))}, auto_detect=false, header={self.header}, "
            f"delim={literal(self.delimiter or '')}, encoding={literal(self.encoding)}, quote={literal(quote)}, "
            f"escape={literal(quote)}, {nulls}{times}columns={{{types}}}))"
        )

    def _header(self, path: Path) -> list[str]:
        try:
            with _open_text(path) as file:
                line = file.readline().rstrip("\r\n")
        except (UnicodeDecodeError, OSError, EOFError) as error:
            raise DataError(f"Not a readable text file ({error}).", file=path, remedy="Get it again.") from error
        if not line:
            raise DataError("The file is empty.", file=path, remedy="Get it again.")
        names = next(csv.reader([line], delimiter=self.delimiter or ","))
        for column in self.columns:
            if column not in names:
                raise DataError(
                    f"The header has no column `{column}`; it is not the published file.",
                    file=path,
                    remedy=did_you_mean(column, names),
                )
        return names


def _open_text(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")  # type: ignore[return-value]
    return path.open(encoding="utf-8-sig", newline="")
