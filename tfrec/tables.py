"""Tables on the console."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

_LONGEST_KEPT = 24


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Returns a table with the first column left-aligned and the others right-aligned; floats with 4 decimals.

    On a narrow terminal the first column keeps names of up to 24 characters whole: cut names may all look the same.
    """
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    name_width = min(_LONGEST_KEPT, max((len(str(row[0])) for row in rows), default=0))
    for number, column in enumerate(columns):
        if number == 0:
            table.add_column(column, justify="left", min_width=name_width)
        else:
            table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row))
    return table
