"""RMSprop that touches only the rows that were looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrec.optimizers.row_sparse_optimizer import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseRMSprop(RowSparseOptimizer):
    """RMSprop: `acc = decay acc + (1 - decay) g^2`, direction `g / sqrt(acc + epsilon)`.

    The average of a row that is absent does not decay.

    Args:
        learning_rate: Step size or schedule.
        decay: Factor of the running average.
        epsilon: Added inside the root.
        **kwargs: `momentum`, `l2`, `gradient_cap`, see `RowSparseOptimizer`.

    Reference: GRU4Rec `adapt=rmsprop`.
    """

    slot_names: ClassVar[tuple[str, ...]] = ("mean_square",)

    def __init__(
        self, learning_rate: float = 0.001, *, decay: float = 0.9, epsilon: float = 1e-6, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **{"name": "row_sparse_rmsprop", **kwargs})
        self.decay = decay
        self.epsilon = epsilon

    def direction(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], step: tf.Tensor
    ) -> tuple[tf.Tensor, Sequence[tf.Tensor]]:
        mean_square = self.decay * slots[0] + (1.0 - self.decay) * tf.square(gradient)
        return gradient * tf.math.rsqrt(mean_square + self.epsilon), [mean_square]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay, "epsilon": self.epsilon}
