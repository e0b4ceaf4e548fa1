"""Adagrad as GRU4Rec defines it, with momentum, touching only the rows that were looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrec.optimizers.row_sparse_optimizer import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdagrad(RowSparseOptimizer):
    """Adagrad: `acc += g^2`, direction `g / sqrt(acc + epsilon)`.

    The accumulators start at `epsilon` instead of 0, so that `acc` already holds `epsilon` and TensorFlow's fused
    kernels (which add theirs outside the root) can be used with 0.

    Args:
        learning_rate: Step size or schedule.
        epsilon: Added inside the root.
        **kwargs: `momentum`, `l2`, `gradient_cap`, see `RowSparseOptimizer`.

    Reference: GRU4Rec section 6 (`adapt=adagrad`, `momentum`).
    Differences from `keras.optimizers.Adagrad`: the sum of squares starts at 0 instead of 0.1, epsilon is inside the
    root, momentum exists, repeated rows are summed.
    """

    slot_names: ClassVar[tuple[str, ...]] = ("accumulator",)

    def __init__(self, learning_rate: float = 0.1, *, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(learning_rate, **{"name": "row_sparse_adagrad", **kwargs})
        self.epsilon = epsilon

    def slot_start(self, slot: str) -> float:
        return self.epsilon

    def direction(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], step: tf.Tensor
    ) -> tuple[tf.Tensor, Sequence[tf.Tensor]]:
        accumulator = slots[0] + tf.square(gradient)
        return gradient * tf.math.rsqrt(accumulator), (accumulator,)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
