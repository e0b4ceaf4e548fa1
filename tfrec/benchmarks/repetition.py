"""Cases that take turns, so that drift of a shared machine hits all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping


def take_turns(
    cases: Mapping[str, Callable[[], float]], repetitions: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Measures every case `repetitions` times, in rounds whose order alternates.

    Args:
        cases: Functions that do the work once and return its figure (a rate or a time).
        repetitions: Recorded rounds.
        warm_up: Do an unrecorded round first (tracing, page cache, allocator).

    Returns:
        Figures per case, in the order of the rounds.
    """
    values: dict[str, list[float]] = {name: [] for name in cases}
    if warm_up:
        for measure in cases.values():
            measure()
    for repetition in range(repetitions):
        order = list(cases) if repetition % 2 == 0 else list(reversed(list(cases)))
        for name in order:
            gc.collect()
            values[name].append(cases[name]())
    return values


def seconds(work: Callable[[], object]) -> float:
    """Returns how long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
