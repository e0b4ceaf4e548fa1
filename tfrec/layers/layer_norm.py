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
            dim = x.shape[-1]
            centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
            inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
            unit = centred * inverse

            def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
                # Sums by matrix products: they are several times as fast as reductions.
                flat, rows = tf.reshape(upstream, [-1, dim]), tf.reshape(unit, [-1, dim])
                products, mean = flat * rows, gamma[:, tf.newaxis] / dim
                d_rows = flat * gamma - rows * tf.matmul(products, mean) - tf.matmul(flat, mean)
                d_x = tf.reshape(d_rows, tf.shape(unit)) * inverse
                ones = tf.ones([1, tf.shape(flat)[0]], flat.dtype)
                return d_x, tf.matmul(ones, products)[0], tf.matmul(ones, flat)[0]

            return unit * gamma + beta, gradient

        return normalise(inputs, self.gamma.value, self.beta.value)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "epsilon": self.epsilon}
