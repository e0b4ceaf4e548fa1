"""Adagrad with momentum, as a user of Keras would write it for the yardstick of our own."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops


class KerasMomentumAdagrad(keras.optimizers.Adagrad):
    """Adagrad with classical momentum on the scaled step: `v = momentum v - lr g / sqrt(acc + epsilon)`, `w += v`.

    Sparse gradients are made dense first, which sums the slices of repeated rows: Keras itself squares them one by one,
    and the result would be wrong. The velocities of all rows move and decay in every step.

    Args:
        learning_rate: Step size.
        momentum: Factor of the previous velocity.
    """

    def __init__(self, learning_rate: float, momentum: float) -> None:
        super().__init__(learning_rate, initial_accumulator_value=0.0, epsilon=1e-6)
        self.momentum = momentum

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self.velocities = [self.add_variable_from_reference(variable, name="velocity") for variable in variables]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        accumulator, velocity = self._accumulators[index], self.velocities[index]
        gradient = tf.convert_to_tensor(gradient)  # sums repeated rows, which `keras.ops` does not
        self.assign_add(accumulator, ops.square(gradient))
        step = learning_rate * gradient * ops.rsqrt(accumulator + self.epsilon)
        self.assign(velocity, self.momentum * velocity - step)
        self.assign_add(variable, velocity)
