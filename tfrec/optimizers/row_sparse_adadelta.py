"""Adadelta that touches only the rows that were looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrec.optimizers.row_sparse_optimizer import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdadelta(RowSparseOptimizer):
    """Adadelta: `acc = decay acc + (1 - decay) g^2`, direction `d = g sqrt(upd + eps) / sqrt(acc + eps)`, then
    `upd = decay upd + (1 - decay) d^2`.

    Args:
        learning_rate: Step size; GRU4Rec always uses 1.
        decay: Factor of both running averages.
        epsilon: Added inside both roots.
        **kwargs: `momentum`, `l2`, `gradient_cap`, see `RowSparseOptimizer`.

    Reference: GRU4Rec `adapt=adadelta`; Zeiler, arXiv 1212.5701.
    """

    slot_names: ClassVar[tuple[str, ...]] = ("mean_square", "mean_square_step")

    def __init__(
        self, learning_rate: float = 1.0, *, decay: float = 0.95, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **{"name": "row_sparse_adadelta", **kwargs})
        self.decay = decay
        self.epsilon = epsilon

    def direction(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], step: tf.Tensor
    ) -> tuple[tf.Tensor, Sequence[tf.Tensor]]:
        mean_square = self.decay * slots[0] + (1.0 - self.decay) * tf.square(gradient)
        direction = gradient * tf.sqrt(slots[1] + self.epsilon) * tf.math.rsqrt(mean_square + self.epsilon)
        return direction, [mean_square, self.decay * slots[1] + (1.0 - self.decay) * tf.square(direction)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay, "epsilon": self.epsilon}
