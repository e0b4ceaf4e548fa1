"""Normalisation by the root of the mean square."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class RMSNorm(keras.layers.Layer):
    """`x / sqrt(mean(x^2) + epsilon) * scale` over the last axis; taken in float32 in every precision.

    Args:
        epsilon: Added to the mean square.
        scale: Learned factor per component; without it there are no weights.

    Reference: arXiv 1910.07467.
    """

    def __init__(self, *, epsilon: float = 1e-6, scale: bool = True, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.scale = scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.factor = None
        if self.scale:
            shape = (input_shape[-1],)
            self.factor = self.add_weight(shape=shape, initializer="ones", autocast=False, name="scale")
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises float `[..., width]`."""
        wide = tf.cast(inputs, tf.float32)
        normed = wide * tf.math.rsqrt(tf.reduce_mean(tf.square(wide), axis=-1, keepdims=True) + self.epsilon)
        if self.factor is not None:
            normed *= tf.cast(self.factor.value, tf.float32)
        return tf.cast(normed, inputs.dtype)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "epsilon": self.epsilon, "scale": self.scale}
