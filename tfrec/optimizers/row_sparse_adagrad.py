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

    def update_rows(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        velocity: tf.Variable | None,
        rows: tf.Tensor,
        values: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        # With momentum the kernel takes Adagrad's step on the decayed velocity, which is then added to the weight.
        stepped = weight if velocity is None else velocity
        if velocity is not None:
            decay = tf.constant(self.momentum, velocity.dtype)
            tf.raw_ops.ResourceScatterMul(resource=velocity.handle, indices=rows, updates=decay)
        tf.raw_ops.ResourceSparseApplyAdagradV2(
            var=stepped.handle, accum=slots[0].handle, lr=rate, epsilon=0.0, grad=values, indices=rows
        )
        if velocity is not None:
            weight.scatter_add(tf.IndexedSlices(tf.gather(velocity, rows), rows))

    def update_all(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        velocity: tf.Variable | None,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        stepped = weight if velocity is None else velocity
        if velocity is not None:
            velocity.assign(self.momentum * velocity)
        tf.raw_ops.ResourceApplyAdagradV2(
            var=stepped.handle, accum=slots[0].handle, lr=rate, epsilon=0.0, grad=gradient
        )
        if velocity is not None:
            weight.assign_add(velocity)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
