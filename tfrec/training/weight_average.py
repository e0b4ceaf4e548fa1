"""Running average of the weights over epochs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


class WeightAverage(keras.callbacks.Callback):
    """Keeps `average = decay average + (1 - decay) weights`, updated at the end of every epoch.

    The average of the last epochs generalises better than any of them, and its validation metric is less noisy. It is
    updated once per epoch, so no training step touches rows of a table that it did not look up.

    Args:
        model: Model whose trainable weights are averaged.
        decay: Share of the old average, in (0, 1); the first epoch starts it.

    Reference: arXiv 1803.05407 (averages of weights), with exponential instead of equal shares.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.weights = [variable.value for variable in model.trainable_variables]
        self.averages = [tf.Variable(weight, trainable=False, name="average") for weight in self.weights]
        self.started = tf.Variable(False, trainable=False, name="average_started")

    @property
    def state(self) -> list[tf.Variable]:
        """Variables that a resumed run needs."""
        return [self.started, *self.averages]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        decay = self.decay if bool(self.started) else 0.0
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.assign(decay * average + (1.0 - decay) * weight)
        self.started.assign(True)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Context in which the model holds the averages instead of its weights."""
        kept = [tf.identity(weight) for weight in self.weights]
        self._assign(self.averages)
        try:
            yield
        finally:
            self._assign(kept)

    def _assign(self, values: list[Any]) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)
