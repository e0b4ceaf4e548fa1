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
        self._started = 0.0
        self._events_before = 0.0
        self._steps_before = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.perf_counter()
        self._events_before = self._steps_before = 0.0
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
        if batch == 0:  # rates of a live bar start after the first block, which includes tracing
            self._started_steady, self._events_before = time.perf_counter(), float(logs["events"])
            self._steps_before = float(logs["mini_batches"])
        seconds = time.perf_counter() - self._started_steady
        rate = ""
        if seconds > 0 and batch > 0:
            steps = (float(logs["mini_batches"]) - self._steps_before) / seconds
            events = (float(logs["events"]) - self._events_before) / seconds
            rate = f"{steps:,.0f} mb/s | {events:,.0f} e/s"
        self._progress.update(self._task, completed=float(logs["events"]), loss=f"{logs['loss']:.4f}", rate=rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.close()
        if not logs:
            return
        seconds = time.perf_counter() - self._started
        rates = {
            "seconds": seconds,
            "events_per_second": float(logs["events"]) / seconds,
            "mini_batches_per_second": float(logs["mini_batches"]) / seconds,
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
