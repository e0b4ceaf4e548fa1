"""Stops a run whose loss is not a number."""

from __future__ import annotations

import math
from typing import Any

import keras

from tfrec.errors import TrainingError


class NanGuard(keras.callbacks.Callback):
    """Raises as soon as the reported loss is NaN or infinite, so that no damaged weights are saved."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is `{loss}` after block {batch + 1}.",
                remedy="Lower the learning rate or the momentum; with bpr-max use an elu final activation.",
            )
