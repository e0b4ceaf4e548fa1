"""Item vectors with a bias, read by gather so that a step touches only the rows it looks up."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.initializers import GateInitializer

RESERVED_ROWS = 2
"""Rows before the first item: 0 padding, 1 out of vocabulary."""


@keras.saving.register_keras_serializable(package="tfrec")
class ItemTable(keras.layers.Layer):
    """Table of item vectors `[vocab_size, dim]` and, optionally, biases `[vocab_size]`.

    `keras.layers.Embedding` reads the whole table after every sparse write; `tf.gather` on the variable does not.

    Args:
        vocab_size: Rows, including the two reserved ones.
        dim: Width of a vector.
        use_bias: Add a bias per item (used for scoring only).
        bound: Bound of the initialisation; 0 means Glorot.
        normal: Draw from a normal distribution.
        seed: Seed of the initialisation.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        *,
        use_bias: bool = True,
        bound: float = 0.0,
        normal: bool = False,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.dim = dim
        self.use_bias = use_bias
        self.bound = bound
        self.normal = normal
        self.seed = seed

    def build(self, input_shape: object = None) -> None:
        self.vectors = self.add_weight(
            shape=(self.vocab_size, self.dim),
            initializer=GateInitializer(
                self.dim, reserved_rows=RESERVED_ROWS, bound=self.bound, normal=self.normal, seed=self.seed
            ),
            autocast=False,  # mixed precision would cast the whole table at every look-up
            name="vectors",
        )  # [vocab, dim]
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.vocab_size,), initializer="zeros", name="bias")  # [vocab]

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Looks up vectors: int `[...]` -> float `[..., dim]`."""
        return tf.cast(tf.gather(self.vectors.value, ids), self.compute_dtype)

    def lookup(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Looks up vectors and biases: int `[...]` -> float `[..., dim]`, and `[...]` or None without a bias."""
        return self(ids), None if self.bias is None else tf.gather(self.bias.value, ids)

    def whole(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns all vectors float `[vocab_size, dim]`, and all biases `[vocab_size]` or None."""
        vectors = tf.cast(tf.convert_to_tensor(self.vectors.value), self.compute_dtype)  # [vocab, dim]
        return vectors, None if self.bias is None else tf.convert_to_tensor(self.bias.value)

    def get_config(self) -> dict[str, object]:
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "dim": self.dim,
            "use_bias": self.use_bias,
            "bound": self.bound,
            "normal": self.normal,
            "seed": self.seed,
        }
