"""Position-wise feed-forward sub-layer."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class FeedForward(keras.layers.Layer):
    """`W2 act(W1 x + b1) + b2`, or SwiGLU: `W2 (silu(W1 x + b1) * (W3 x + b3)) + b2`.

    Args:
        dim: Width of inputs and outputs.
        hidden: Width between the two dense layers.
        kind: `relu`, `gelu` or `swiglu`.
        dropout: Drop-out of the hidden values.
        seed: Seed of the initial weights.

    Reference: arXiv 1808.09781 section 3.2.2; SwiGLU: arXiv 2002.05202.
    """

    def __init__(
        self, dim: int, hidden: int, *, kind: str = "relu", dropout: float = 0.0, seed: int = 0, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.hidden = hidden
        self.kind = kind
        self.dropout = dropout
        self.seed = seed

        def dense(width: int, name: str) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
            return keras.layers.Dense(width, kernel_initializer=initializer, name=name, dtype=self.dtype_policy)

        self.inner, self.outer = dense(hidden, "inner"), dense(dim, "outer")
        self.gate = dense(hidden, "gate") if kind == "swiglu" else None

    def build(self, input_shape: object = None) -> None:
        self.inner.build((None, None, self.dim))
        self.outer.build((None, None, self.hidden))
        if self.gate is not None:
            self.gate.build((None, None, self.dim))
        self.built = True

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Maps float `[batch, seq, dim]` to the same shape; `dropout_seed` int `[2]`, None means no drop-out."""
        hidden = self.inner(inputs)  # [batch, seq, hidden]
        if self.gate is not None:
            hidden = tf.nn.silu(hidden) * self.gate(inputs)
        else:
            hidden = tf.nn.relu(hidden) if self.kind == "relu" else tf.nn.gelu(hidden)
        return self.outer(seeded_dropout(hidden, self.dropout, dropout_seed, f"{self.name} hidden"))

    def get_config(self) -> dict[str, object]:
        return {
            **super().get_config(),
            "dim": self.dim,
            "hidden": self.hidden,
            "kind": self.kind,
            "dropout": self.dropout,
            "seed": self.seed,
        }
