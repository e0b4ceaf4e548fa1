"""Tables on the console."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

_SHORT = 24


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Returns a table with the first column left-aligned and the others right-aligned; floats with 4 decimals."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    # Short names keep their width when the terminal is narrow: cut names would be the same name.
    shortest = [min(_SHORT, max(len(str(row[0])) for row in rows)) if rows else 0, *[0] * (len(columns) - 1)]
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", min_width=shortest[number])
    for row in rows:
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row))
    return table
