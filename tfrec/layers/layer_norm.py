"""Layer normalisation over the last axis with a short backward pass."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class FastLayerNorm(keras.layers.Layer):
    """Normalises every vector to mean 0 and variance 1, then scales and shifts.

    The gradient is written out: composed of single operations it takes several times as many passes over memory.

    Args:
        epsilon: Added to the (biased) variance.

    Reference: arXiv 1607.06450.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Normalises float `[..., dim]`."""
        epsilon = self.epsilon

        @tf.custom_gradient
        def normalise(
            x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
        ) -> tuple[tf.Tensor, Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]]:
            centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
            inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
            unit = centred * inverse

            def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
                axes = list(range(len(unit.shape) - 1))
                d_unit = upstream * gamma
                along = unit * tf.reduce_mean(d_unit * unit, axis=-1, keepdims=True)
                d_x = inverse * (d_unit - tf.reduce_mean(d_unit, axis=-1, keepdims=True) - along)
                return d_x, tf.reduce_sum(upstream * unit, axis=axes), tf.reduce_sum(upstream, axis=axes)

            return unit * gamma + beta, gradient

        return normalise(inputs, self.gamma.value, self.beta.value)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "epsilon": self.epsilon}
