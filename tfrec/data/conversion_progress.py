"""How far a conversion is, on the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class ConversionProgress:
    """Context that shows one line per stage on standard error, with a bar where the amount of work is known.

    Its value is what is to be called with a stage, the work done, and all the work of the stage or 0.
    """

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, Any] = {}
        self._progress.start()
        return self._report

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._complete()
        self._progress.stop()

    def _complete(self) -> None:
        for task in self._progress.tasks:
            if not task.finished:
                total = task.total or 1
                self._progress.update(task.id, total=total, completed=total)

    def _report(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._complete()
            self._tasks[stage] = self._progress.add_task(stage, total=total or None)
        self._progress.update(self._tasks[stage], completed=done)
