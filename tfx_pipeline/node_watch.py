"""A line now and then while a node works for long, so that a silent node is not taken for a dead one."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from tfx_pipeline.row_count import LEARNED

MOMENTS: Sequence[float] = (10.0, 30.0, 60.0)
"""Seconds after which a line comes; from the last on at equal distances."""


class NodeWatch:
    """Context that tells how far a node is: seconds, rows it has learned of, and what it has written.

    Args:
        folder: Where the node writes; what is there at the beginning does not count.
        say: Takes a line.
        moments: As `MOMENTS`.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], moments: Sequence[float] | None = None) -> None:
        self._folder, self._say = folder, say
        self._moments = MOMENTS if moments is None else moments
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="node watch", daemon=True)

    def __enter__(self) -> NodeWatch:
        self._started = time.perf_counter()
        self._rows, self._bytes = LEARNED.rows, _bytes_below(self._folder)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        for moment in _moments(self._moments):
            if self._ended.wait(max(0.0, self._started + moment - time.perf_counter())):
                return
            seconds = time.perf_counter() - self._started
            self._say(progress_text(seconds, LEARNED.rows - self._rows, _bytes_below(self._folder) - self._bytes))


def progress_text(seconds: float, rows: int, size: int) -> str:
    """Returns a line about a node.

    Args:
        seconds: Since it began.
        rows: Rows it has learned of.
        size: Bytes it has written.

    Example:
        >>> progress_text(30.0, 60_000, 2_500_000)
        '30 s: 60,000 training rows counted, 2.5 MB written'
    """
    parts = [f"{rows:,} training rows counted"] if rows else []
    parts += [f"{size / 1e6:,.1f} MB written"] if size > 0 else []
    return f"{seconds:.0f} s: {', '.join(parts) or 'nothing written yet'}"


def _moments(first: Sequence[float]) -> Iterator[float]:
    yield from first
    step = first[-1]
    yield from itertools.count(2 * step, step)


def _bytes_below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118  many files, and some vanish
            except FileNotFoundError:
                continue
    return total
