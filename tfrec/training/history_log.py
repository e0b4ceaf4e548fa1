"""`history.csv`: one row per epoch, on disk as soon as the epoch ends."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import keras

from tfrec.files import atomic_write
from tfrec.training.progress import TrainingProgress


class HistoryLog(keras.callbacks.Callback):
    """Keeps loss and rates of every epoch; a resumed run continues the file.

    Args:
        path: `history.csv` of the run.
        progress: Where the rates of an epoch are taken from; must come earlier in the list of callbacks.
        first_epoch: Rows of this epoch (counted from 0) and later ones are dropped from an existing file.
    """

    def __init__(self, path: Path, progress: TrainingProgress, *, first_epoch: int = 0) -> None:
        super().__init__()
        self.path = path
        self.progress = progress
        self.rows: list[dict[str, Any]] = []
        if first_epoch and path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= first_epoch]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        metrics = {key: float(value) for key, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, **metrics, **self.progress.rates[-1]})
        with atomic_write(self.path) as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[-1]), restval="")
            writer.writeheader()
            writer.writerows(self.rows)
