"""An expert that looks at a context from every candidate's point of view."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed

_BLOCKED = -1e9


@keras.saving.register_keras_serializable(package="tfrec")
class ContextExpert(keras.layers.Layer):
    """`Dense(GELU(Dense(LN(t + MHA(t, context)))))` of every candidate `t`; the hidden width is twice that of a vector.

    A learned token belongs to every context, so that no row of the attention is fully masked: it is what a candidate
    sees of a user of whom nothing is known.

    Args:
        dim: Width of candidates and contexts.
        heads: Number of heads; divides `dim`.
        dropout: Drop-out of the hidden values.
        seed: Seed of the initial weights.

    Reference: ww93/MLLM (7eb3b3d). Differences: all candidates of all users at once; the learned token.
    """

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim, self.heads, self.dropout, self.seed = dim, heads, dropout, seed

        def dense(width: int, name: str) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
            return keras.layers.Dense(width, kernel_initializer=initializer, name=name)

        self.query, self.key, self.value = dense(dim, "query"), dense(dim, "key"), dense(dim, "value")
        self.output_projection = dense(dim, "output")
        self.inner, self.outer = dense(2 * dim, "inner"), dense(dim, "outer")
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")

    def build(self, input_shape: object = None) -> None:
        initializer = keras.initializers.RandomNormal(stddev=0.05, seed=derive_seed(self.seed, "token"))
        self.token = self.add_weight(shape=(self.dim,), initializer=initializer, name="token")  # [dim]
        for layer in (self.query, self.key, self.value, self.output_projection, self.inner, self.norm):
            layer.build((None, None, self.dim))
        self.outer.build((None, None, 2 * self.dim))
        self.built = True

    def call(
        self, candidates: tf.Tensor, context: tf.Tensor, real: tf.Tensor, *, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Looks at the context.

        Args:
            candidates: float `[rows or 1, candidates, dim]`; 1: all rows have the same.
            context: float `[rows, tokens, dim]`.
            real: bool `[rows, tokens]`; the others are not seen.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float `[rows, candidates, dim]`.
        """
        rows = tf.shape(context)[0]
        token = tf.broadcast_to(self.token.value, [rows, 1, self.dim])
        context = tf.concat([token, context], axis=1)  # [rows, 1 + tokens, dim]
        seen = tf.pad(real, [[0, 0], [1, 0]], constant_values=True)[:, tf.newaxis, tf.newaxis]  # [rows, 1, 1, 1 + ..]
        query = self._split(self.query(candidates) * (self.dim // self.heads) ** -0.5)  # [rows or 1, heads, ..]
        key, value = self._split(self.key(context)), self._split(self.value(context))
        logits = tf.matmul(query, key, transpose_b=True)  # [rows, heads, candidates, 1 + tokens]
        weights = tf.nn.softmax(tf.where(seen, logits, _BLOCKED))
        attended = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])  # [rows, candidates, heads, width]
        attended = tf.reshape(attended, [rows, -1, self.dim])
        hidden = self.norm(candidates + self.output_projection(attended))  # [rows, candidates, dim]
        hidden = seeded_dropout(tf.nn.gelu(self.inner(hidden)), self.dropout, dropout_seed, f"{self.name} hidden")
        return self.outer(hidden)

    def _split(self, projected: tf.Tensor) -> tf.Tensor:
        shape = [tf.shape(projected)[0], -1, self.heads, self.dim // self.heads]
        return tf.transpose(tf.reshape(projected, shape), [0, 2, 1, 3])  # [rows, heads, tokens, width]

    def get_config(self) -> dict[str, Any]:
        names = ("dim", "heads", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
