"""Progress of a publication on the console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tfrec.stores.vector_store import Report

_STAGES = {"encode": "Encoding", "write": "Writing", "verify": "Verifying"}


@contextmanager
def publish_progress(console: Console) -> Iterator[Report]:
    """Context with a `Report` that shows a bar per kind and stage with vectors per second."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[tuple[str, str], TaskID] = {}

    def report(stage: str, kind: str, done: int, total: int) -> None:
        if stage in _STAGES:
            if (stage, kind) not in tasks:
                tasks[stage, kind] = bar.add_task(f"{_STAGES[stage]} {kind}", total=total, rate="")
            task = tasks[stage, kind]
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, rate=f"{speed:,.0f} vectors/s" if speed else "")

    with bar:
        yield report
