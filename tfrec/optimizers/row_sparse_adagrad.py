"""Adagrad as GRU4Rec defines it, with momentum, touching only the rows that were looked up."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.optimizers.deduplicate import deduplicate


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdagrad(keras.optimizers.Optimizer):
    """Adagrad with classical momentum on the scaled step.

    `acc += g^2`, `step = lr g / sqrt(acc + epsilon)`, `v = momentum v - step`, `w += v`. For sparse gradients repeated rows
    are summed first, and rows that are absent from a step keep value, accumulator and velocity.

    Args:
        learning_rate: Step size or schedule.
        momentum: Factor of the previous velocity, in [0, 1); 0 keeps no velocity.
        epsilon: Added inside the root.

    Reference: GRU4Rec section 6 (`adapt=adagrad`, `momentum`).
    Differences from `keras.optimizers.Adagrad`: the accumulator starts at 0 instead of 0.1, epsilon is inside the root,
    momentum exists, repeated rows are summed.
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
        self.accumulators = [self.add_variable_from_reference(v, name="accumulator") for v in variables]
        self.velocities = (
            [self.add_variable_from_reference(v, name="velocity") for v in variables] if self.momentum else []
        )

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        index = self._get_variable_index(variable)
        accumulator: tf.Variable = self.accumulators[index].value
        velocity: tf.Variable | None = self.velocities[index].value if self.momentum else None
        weight: tf.Variable = variable if isinstance(variable, tf.Variable) else variable.value
        rate = tf.cast(learning_rate, weight.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            rows, values = deduplicate(gradient)
            squares = tf.gather(accumulator, rows) + tf.square(values)  # [unique, dim]
            accumulator.scatter_update(tf.IndexedSlices(squares, rows))
            step = -rate * values * tf.math.rsqrt(squares + self.epsilon)
            if velocity is not None:
                step += self.momentum * tf.gather(velocity, rows)
                velocity.scatter_update(tf.IndexedSlices(step, rows))
            weight.scatter_add(tf.IndexedSlices(step, rows))
            return
        squares = accumulator + tf.square(gradient)
        accumulator.assign(squares)
        step = -rate * gradient * tf.math.rsqrt(squares + self.epsilon)
        if velocity is not None:
            step += self.momentum * velocity
            velocity.assign(step)
        weight.assign_add(step)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
