"""Parquet files that users bring: texts and vectors by raw id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.errors import DataError


def is_parquet(path: Path) -> bool:
    """Tells by the suffix of a file whether it is, or is to be, Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")


def read_parquet(path: Path, columns: Sequence[str], *, remedy: str) -> pa.Table:
    """Returns the table of a file, which must have some columns.

    Args:
        path: The file.
        columns: Names of the columns; there may be others.
        remedy: What a file should hold, for errors.

    Raises:
        DataError: The file is damaged, or a column is missing.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"Not a readable Parquet file ({error}).", file=path, remedy=remedy) from error
    for column in columns:
        if column not in table.column_names:
            found = ", ".join(f"`{name}`" for name in table.column_names)
            raise DataError(f"There is no such column, but {found}.", file=path, column=column, remedy=remedy)
    return table
