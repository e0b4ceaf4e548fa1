"""Times blocks of mini-batches inside `fit`."""

from __future__ import annotations

import statistics
import time
from typing import Any

import keras


class BlockClock(keras.callbacks.Callback):
    """Notes the time after every block of batches and the loss of every epoch.

    The first block of a `fit` is not timed: the pipeline starts in it, and the first `fit` of a model traces in it.

    Args:
        batches_per_block: Keras batches that make one block.
    """

    def __init__(self, batches_per_block: int = 1) -> None:
        super().__init__()
        self.batches_per_block = batches_per_block
        self.losses: list[float] = []
        self._ends: list[float] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._ends = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if (batch + 1) % self.batches_per_block == 0:
            self._ends.append(time.perf_counter())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.losses.append(float((logs or {})["loss"]))

    @property
    def block_seconds(self) -> float:
        """Median time of a block of the last `fit`."""
        return statistics.median(b - a for a, b in zip(self._ends, self._ends[1:], strict=False))
