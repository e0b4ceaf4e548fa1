"""Progress of training: a live bar per epoch, and one line per finished epoch."""

from __future__ import annotations

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn


class TrainingProgress(keras.callbacks.Callback):
    """Shows loss, mini-batches/s and events/s while training, and keeps the rates of every epoch.

    Args:
        console: Where to print.
        events_per_epoch: Events (input, target) of one epoch, the length of the bar.
        epochs: Number of epochs of the whole run.

    Attributes:
        rates: Per finished epoch: `seconds`, `events_per_second`, `mini_batches_per_second`.
    """

    def __init__(self, console: Console, events_per_epoch: int, epochs: int) -> None:
        super().__init__()
        self.console = console
        self.events_per_epoch = events_per_epoch
        self.epochs = epochs
        self.rates: list[dict[str, float]] = []
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._epoch_started = self._steady_since = 0.0
        self._done_before = (0.0, 0.0)  # events and mini-batches of the epoch that an earlier process did
        self._steady_from = (0.0, 0.0)

    def resume_within_epoch(self, events: float, mini_batches: float) -> None:
        """Says how much of the next epoch an earlier process did, so that rates count this process only."""
        self._done_before = (events, mini_batches)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch_started = time.perf_counter()
        self._progress = Progress(
            TextColumn("[bold]Epoch {task.fields[epoch]}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        label = f"{epoch + 1}/{self.epochs}"
        self._task = self._progress.add_task("", total=self.events_per_epoch, epoch=label, loss="-", rate="")
        self._progress.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._progress is None or not logs:
            return
        done = (float(logs["events"]), float(logs["mini_batches"]))
        rate = ""
        if batch == 0:  # the first block includes tracing
            self._steady_since, self._steady_from = time.perf_counter(), done
        else:
            seconds = time.perf_counter() - self._steady_since
            events, steps = (now - start for now, start in zip(done, self._steady_from, strict=True))
            rate = f"{steps / seconds:,.0f} mb/s | {events / seconds:,.0f} e/s"
        self._progress.update(self._task, completed=done[0], loss=f"{logs['loss']:.4f}", rate=rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.close()
        logs = {} if logs is None else logs
        if not logs:  # a resumed epoch of which nothing was left
            logs.update({metric.name: float(metric.result()) for metric in self.model.metrics})
        seconds = time.perf_counter() - self._epoch_started
        events, steps = float(logs["events"]) - self._done_before[0], float(logs["mini_batches"]) - self._done_before[1]
        self._done_before = (0.0, 0.0)
        rates = {
            "seconds": seconds,
            "events_per_second": events / seconds,
            "mini_batches_per_second": steps / seconds,
        }
        self.rates.append(rates)
        self.console.print(
            f"Epoch {epoch + 1}/{self.epochs}  loss {logs['loss']:.6f}  ({seconds:.2f} s)  "
            f"[{rates['mini_batches_per_second']:,.2f} mb/s | {rates['events_per_second']:,.0f} e/s]",
            markup=False,
        )

    def close(self) -> None:
        """Removes the live bar, also after an error."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
