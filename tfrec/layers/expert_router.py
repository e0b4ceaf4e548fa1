"""Weights of experts from a candidate and what the experts see."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.seeds import derive_seed

_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="tfrec")
class ExpertRouter(keras.layers.Layer):
    """`softmax(Dense(GELU(Dense(LN([t, mean of context 1, ...])))))`.

    The joined vector of a candidate and a user is never made: with `x = [t, u]`, the layer norm followed by a product
    is `(t A + u B - mean(x) 1(A, B)) / std(x) + c`, whose products are of candidates and of users alone.

    Args:
        dim: Width of a candidate and of each mean.
        experts: Number of experts.
        seed: Seed of the initial weights.

    Reference: ww93/MLLM (7eb3b3d).
    """

    def __init__(self, dim: int, experts: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim, self.experts, self.seed = dim, experts, seed

    def build(self, input_shape: object = None) -> None:
        joined = self.dim * (1 + self.experts)

        def glorot(name: str) -> keras.initializers.Initializer:
            return keras.initializers.GlorotUniform(seed=derive_seed(self.seed, name))

        self.gamma = self.add_weight(shape=(joined,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(joined,), initializer="zeros", name="beta")
        self.inner = self.add_weight(shape=(joined, self.dim), initializer=glorot("inner"), name="inner_kernel")
        self.inner_bias = self.add_weight(shape=(self.dim,), initializer="zeros", name="inner_bias")
        self.outer = self.add_weight(shape=(self.dim, self.experts), initializer=glorot("outer"), name="outer_kernel")
        self.outer_bias = self.add_weight(shape=(self.experts,), initializer="zeros", name="outer_bias")
        self.built = True

    def call(self, candidates: tf.Tensor, means: tf.Tensor) -> tf.Tensor:
        """Weighs the experts.

        Args:
            candidates: float `[rows or 1, candidates, dim]`.
            means: Mean tokens of the contexts, joined, float `[rows, experts * dim]`.

        Returns:
            float `[rows, candidates, experts]`, of sum 1.
        """
        users = means[:, tf.newaxis]  # [rows, 1, experts * dim]
        width = float(self.dim * (1 + self.experts))
        mean = (_sum(candidates) + _sum(users)) / width  # [rows, candidates, 1]
        variance = (_sum(tf.square(candidates)) + _sum(tf.square(users))) / width - tf.square(mean)
        scale = tf.math.rsqrt(tf.maximum(variance, 0.0) + _EPSILON)
        kernel = self.gamma.value[:, tf.newaxis] * self.inner.value  # [joined, dim]
        products = tf.matmul(candidates, kernel[: self.dim]) + tf.matmul(users, kernel[self.dim :])
        constant = tf.linalg.matvec(self.inner.value, self.beta.value, transpose_a=True) + self.inner_bias.value
        hidden = (products - mean * tf.reduce_sum(kernel, axis=0)) * scale + constant  # [rows, candidates, dim]
        return tf.nn.softmax(tf.matmul(tf.nn.gelu(hidden), self.outer.value) + self.outer_bias.value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim, "experts": self.experts, "seed": self.seed}


def _sum(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values, axis=-1, keepdims=True)
