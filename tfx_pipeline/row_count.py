"""How many rows a node of this process has gone through, for those who wait for it."""

from __future__ import annotations


class RowCount:
    """Counts rows of one phase; workers in other processes count for themselves, and nobody is told."""

    def __init__(self) -> None:
        self.rows = 0

    def add(self, rows: int) -> None:
        """Adds rows; not exact among threads, which is good enough for progress."""
        self.rows += rows


LEARNED = RowCount()
"""Training rows of which Transform has learned vocabularies and scalings."""
