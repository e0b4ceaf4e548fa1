"""The data-adaptive activation of deep interest networks."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class Dice(keras.layers.Layer):
    """`p x + (1 - p) alpha x` with `p = sigmoid(x normalised over the batch)` and a slope alpha per unit, from 0.

    Reference: DIN, arXiv 1706.06978, section 5.3.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.norm = keras.layers.BatchNormalization(center=False, scale=False, epsilon=1e-9, name="norm")
        self.norm.build(input_shape)
        self.alpha = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="alpha")

    def call(self, inputs: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        """Activates float `[batch, units]`."""
        p = tf.sigmoid(self.norm(inputs, training=training))
        return p * inputs + (1.0 - p) * tf.convert_to_tensor(self.alpha.value) * inputs
