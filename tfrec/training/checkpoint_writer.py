"""Writes checkpoints while a model is fitted, and puts a resumed run back where it was."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import TrainingError
from tfrec.layers.given_tables import learned_weights
from tfrec.training.checkpoints import list_checkpoints, restore_checkpoint, save_checkpoint
from tfrec.training.validation import Validation


@dataclass
class Position:
    """Where in the training a checkpoint was taken: finished epochs, and finished blocks of the current one."""

    epoch: int = 0
    block: int = 0


class CheckpointWriter(keras.callbacks.Callback):
    """Saves at the end of every epoch and every few minutes in between.

    A checkpoint holds weights, optimiser, further training state and metrics, so that a resumed run computes what the
    uninterrupted run would have computed.

    Args:
        folder: Directory of the checkpoints.
        training_state: Variables of the training loop besides weights, optimiser and metrics.
        keep: Number of latest checkpoints to keep.
        minutes: Time between checkpoints within an epoch; 0 saves after every block.
        validation: Validation whose state is stored too.
    """

    def __init__(
        self,
        folder: Path,
        training_state: Sequence[tf.Variable],
        *,
        keep: int,
        minutes: float,
        validation: Validation | None = None,
    ) -> None:
        super().__init__()
        self.validation = validation
        self.folder = folder
        self.keep = keep
        self.minutes = minutes
        self.position = Position()
        self._extra_state = list(training_state)
        self._metric_values: list[NDArray[Any]] | None = None
        self._saved_at = 0.0
        self._first_block = 0

    def restore(self, model: keras.Model) -> Position:
        """Loads the latest checkpoint into a compiled model whose optimiser is built; returns where it was taken."""
        checkpoints = list_checkpoints(self.folder)
        if checkpoints:
            progress = restore_checkpoint(
                checkpoints[-1], weights=learned_weights(model), training_state=self._training_state(model)
            )
            self.position = Position(progress["epoch"], progress["block"])
            if self.validation is not None:
                self.validation.restore(progress["validation"])
            if self.position.block:
                self._metric_values = [np.array(variable) for variable in model.metrics_variables]
        return self.position

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._saved_at = time.monotonic()
        self._first_block = self.position.block if epoch == self.position.epoch else 0
        if self._metric_values is not None:  # Keras resets metrics at the start of an epoch
            for variable, value in zip(self.model.metrics_variables, self._metric_values, strict=True):
                variable.assign(value)
            self._metric_values = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if time.monotonic() - self._saved_at >= 60.0 * self.minutes:
            self._save(self.position.epoch, self._first_block + batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._save(epoch + 1, 0)

    def _save(self, epoch: int, block: int) -> None:
        for variable in self.model.trainable_variables:
            if not bool(tf.reduce_all(tf.math.is_finite(variable.value))):
                raise TrainingError(
                    f"The weight `{variable.path}` is not finite in epoch {self.position.epoch + 1}.",
                    remedy="Lower the learning rate or the momentum. The latest checkpoint is older and sound.",
                )
        save_checkpoint(
            self.folder,
            f"epoch-{epoch:05d}-block-{block:09d}",
            weights=learned_weights(self.model),
            training_state=self._training_state(self.model),
            progress={
                "epoch": epoch,
                "block": block,
                "validation": self.validation.state() if self.validation is not None else None,
            },
            keep=self.keep,
        )
        self.position = Position(epoch, block)
        self._saved_at = time.monotonic()

    def _training_state(self, model: keras.Model) -> list[tf.Variable]:
        metrics = [variable.value for variable in model.metrics_variables]
        return [*self._extra_state, *(variable.value for variable in model.optimizer.variables), *metrics]
