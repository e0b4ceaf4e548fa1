"""Feed-forward network of one expert."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.fan_in_uniform import fan_in_uniform
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class SwigluExpert(keras.layers.Layer):
    """`W2 (SiLU(W1 n) * (W3 n)) + b2` with biases everywhere, where `n` is the layer norm of the input.

    `W1` and `W3` are the two halves of one kernel.

    Args:
        dim: Width of inputs and outputs.
        hidden: Width inside.
        epsilon: Epsilon of the layer norm.
        seed: Seed of the initial weights.

    Reference: arXiv 2002.05202 (SwiGLU).
    """

    def __init__(self, dim: int, hidden: int, *, epsilon: float = 1e-5, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.hidden = hidden
        self.epsilon = epsilon
        self.seed = seed

    def build(self, input_shape: object = None) -> None:
        def weight(name: str, shape: tuple[int, ...], fan_in: int) -> Any:
            return self.add_weight(
                shape=shape, initializer=fan_in_uniform(fan_in, derive_seed(self.seed, name)), name=name
            )

        self.norm_scale = self.add_weight(shape=(self.dim,), initializer="ones", name="norm_scale")
        self.norm_offset = self.add_weight(shape=(self.dim,), initializer="zeros", name="norm_offset")
        self.in_kernel = weight("in_kernel", (self.dim, 2 * self.hidden), self.dim)
        self.in_bias = weight("in_bias", (2 * self.hidden,), self.dim)
        self.out_kernel = weight("out_kernel", (self.hidden, self.dim), self.hidden)
        self.out_bias = weight("out_bias", (self.dim,), self.hidden)
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies the network: float `[..., dim]` -> float `[..., dim]`."""
        normed = standardise(inputs, self.epsilon) * self.norm_scale.value + self.norm_offset.value
        inner = swiglu(tf.matmul(normed, self.in_kernel.value) + self.in_bias.value)
        return tf.matmul(inner, self.out_kernel.value) + self.out_bias.value

    def get_config(self) -> dict[str, object]:
        settings = {"dim": self.dim, "hidden": self.hidden, "epsilon": self.epsilon, "seed": self.seed}
        return {**super().get_config(), **settings}


def standardise(values: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Brings the last axis to mean 0 and variance 1, as a layer norm before scale and offset: float `[..., dim]`.

    Computed in float32 or wider, whatever the type of the values, which the result keeps.
    """
    wide = tf.cast(values, tf.float32) if values.dtype in (tf.bfloat16, tf.float16) else values
    mean, variance = tf.nn.moments(wide, axes=[-1], keepdims=True)
    return tf.cast((wide - mean) * tf.math.rsqrt(variance + epsilon), values.dtype)


def swiglu(joined: tf.Tensor) -> tf.Tensor:
    """Multiplies SiLU of the first half by the second: float `[..., 2 hidden]` -> float `[..., hidden]`."""
    gate, value = tf.split(joined, 2, axis=-1)
    return tf.nn.silu(gate) * value
