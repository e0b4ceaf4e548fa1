"""Progress of a search: one bar for the trials, and what the trial under way is doing."""

from __future__ import annotations

import re
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tfrec.tuning.objective import Objective
from tfrec.tuning.train_trial import describe
from tfrec.tuning.trial_record import TrialRecord

_EPOCH = re.compile(r"^Epoch (\d+)/(\d+)\s+loss (\S+)")


class SearchProgress:
    """Shows trials, the epochs of the current one and the best so far; one line per finished trial.

    Args:
        console: Where to print.
        objective: What is improved.
        total: Number of trials.
        what: What is counted.
    """

    def __init__(self, console: Console, objective: Objective, total: int, what: str = "Trial") -> None:
        self.console = console
        self.objective = objective
        self.what = what
        self._best: TrialRecord | None = None
        self._bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._search = self._bars.add_task(f"{what}s", total=total, note="")
        self._current = self._bars.add_task("epochs", total=None, note="", visible=False)

    def __enter__(self) -> SearchProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, name: str) -> None:
        """Shows what has begun."""
        self._bars.reset(self._current, total=None, visible=True, description=escape(name), note="")

    def listen(self, line: str) -> None:
        """Takes a line of the training's output."""
        if (found := _EPOCH.match(line)) is not None:
            done, epochs, loss = found.groups()
            self._bars.update(self._current, completed=int(done), total=int(epochs), note=f"loss {loss}")

    def end(self, record: TrialRecord, *, quiet: bool = False) -> None:
        """Counts a trial that has ended and says how."""
        if record.score is not None and (
            self._best is None or self.objective.better(record.score, self._best.score or 0.0)
        ):
            self._best = record
        best = "none yet"
        if self._best is not None:
            best = f"{self.objective.name} {self._best.score:.4f} (trial {self._best.number})"
        self._bars.update(self._search, advance=1, note=f"best {best}")
        if quiet:
            return
        told = f"Trial {record.number}: {describe(record.values)}"
        if record.epochs is not None:
            since = "" if record.continued_from is None else f" after trial {record.continued_from}"
            told += f", {record.epochs} epochs{since}"
        if record.status == "failed":
            self.console.print(f"{told}: FAILED, {record.reason}", markup=False, style="red", soft_wrap=True)
        else:
            score = f"{self.objective.name} {record.score:.4f}"
            self.console.print(f"{told}: {score} ({record.seconds:.1f} s); best {best}", markup=False, soft_wrap=True)

    def count(self, line: str) -> None:
        """Counts one thing that has ended and prints a line."""
        self._bars.update(self._search, advance=1)
        self.console.print(line, markup=False, soft_wrap=True)
