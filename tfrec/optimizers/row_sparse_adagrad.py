"""Adagrad as GRU4Rec defines it, with momentum, touching only the rows that were looked up."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.optimizers.deduplicate import deduplicate


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdagrad(keras.optimizers.Optimizer):
    """Adagrad with classical momentum on the scaled step.

    `acc += g^2`, `step = lr g / sqrt(acc + epsilon)`, `v = momentum v - step`, `w += v`. For sparse gradients
    repeated rows are summed first, and rows that are absent from a step keep value, accumulator and velocity.

    The accumulators start at `epsilon` instead of 0, so that `acc` already holds `epsilon` and TensorFlow's fused
    kernels (which add theirs outside the root) can be used with 0.

    Args:
        learning_rate: Step size or schedule.
        momentum: Factor of the previous velocity, in [0, 1); 0 keeps no velocity.
        epsilon: Added inside the root.

    Reference: GRU4Rec section 6 (`adapt=adagrad`, `momentum`).
    Differences from `keras.optimizers.Adagrad`: the sum of squares starts at 0 instead of 0.1, epsilon is inside the
    root, momentum exists, repeated rows are summed.
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.0,
        epsilon: float = 1e-6,
        name: str = "row_sparse_adagrad",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        start = keras.initializers.Constant(self.epsilon)
        self.accumulators = [
            self.add_variable_from_reference(v, name="accumulator", initializer=start) for v in variables
        ]
        self.velocities = (
            [self.add_variable_from_reference(v, name="velocity") for v in variables] if self.momentum else []
        )

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        index = self._get_variable_index(variable)
        weight: tf.Variable = variable if isinstance(variable, tf.Variable) else variable.value
        accumulator: tf.Variable = self.accumulators[index].value
        velocity: tf.Variable | None = self.velocities[index].value if self.momentum else None
        rate = tf.cast(learning_rate, weight.dtype)
        # With momentum the kernels take Adagrad's step on the decayed velocity, which is then added to the weight.
        stepped = weight if velocity is None else velocity
        if isinstance(gradient, tf.IndexedSlices):
            rows, values = deduplicate(gradient)
            if velocity is not None:
                decay = tf.constant(self.momentum, velocity.dtype)
                tf.raw_ops.ResourceScatterMul(resource=velocity.handle, indices=rows, updates=decay)
            tf.raw_ops.ResourceSparseApplyAdagradV2(
                var=stepped.handle, accum=accumulator.handle, lr=rate, epsilon=0.0, grad=values, indices=rows
            )
            if velocity is not None:
                weight.scatter_add(tf.IndexedSlices(tf.gather(velocity, rows), rows))
            return
        if velocity is not None:
            velocity.assign(self.momentum * velocity)
        tf.raw_ops.ResourceApplyAdagradV2(
            var=stepped.handle, accum=accumulator.handle, lr=rate, epsilon=0.0, grad=gradient
        )
        if velocity is not None:
            weight.assign_add(velocity)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
