"""Multi-head self-attention over the past of a sequence."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed

_BLOCKED = -1e9


@keras.saving.register_keras_serializable(package="tfrec")
class CausalAttention(keras.layers.Layer):
    """Scaled dot-product attention of every event over itself and the real events before it.

    A query always sees itself, also where it is padding: no row of the attention is fully masked, which would make
    NaN in the forward or the backward pass.

    Args:
        dim: Width of inputs and outputs.
        heads: Number of heads; divides `dim`.
        dropout: Drop-out of the attention weights.
        projection: Dense layer after the heads are joined.
        seed: Seed of the initial weights.

    Reference: arXiv 1808.09781 section 3.2. Softmax in float32 under mixed precision.
    """

    def __init__(
        self, dim: int, heads: int, *, dropout: float = 0.0, projection: bool = True, seed: int = 0, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.heads = heads
        self.dropout = dropout
        self.projection = projection
        self.seed = seed

        def dense(name: str) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
            return keras.layers.Dense(dim, kernel_initializer=initializer, name=name, dtype=self.dtype_policy)

        self.query, self.key, self.value = dense("query"), dense("key"), dense("value")
        self.output_projection = dense("output") if projection else None

    def build(self, input_shape: object = None) -> None:
        for layer in (self.query, self.key, self.value, self.output_projection):
            if layer is not None:
                layer.build((None, None, self.dim))
        self.built = True

    def call(
        self, queries: tf.Tensor, context: tf.Tensor, real: tf.Tensor, *, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Attends.

        Args:
            queries: float `[batch, seq, dim]`.
            context: What keys and values are made of, float `[batch, seq, dim]`.
            real: bool `[batch, seq]`, False at padding (on either side).
            dropout_seed: int `[2]`; None means no drop-out.

        Returns:
            float `[batch, seq, dim]`; rows of padding hold values of no meaning.
        """
        length = tf.shape(queries)[1]
        query = self._split(self.query(queries) * (self.dim // self.heads) ** -0.5)  # [batch, heads, seq, width]
        key, value = self._split(self.key(context)), self._split(self.value(context))
        logits = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)  # [batch, heads, seq, seq]
        position = tf.range(length)
        earlier = position[:, tf.newaxis] > position  # [seq, seq]
        itself = position[:, tf.newaxis] == position  # [seq, seq]
        allowed = (earlier & real[:, tf.newaxis, :]) | itself  # [batch, seq, seq]
        weights = tf.nn.softmax(tf.where(allowed[:, tf.newaxis], logits, _BLOCKED))  # [batch, heads, seq, seq]
        weights = tf.cast(weights, value.dtype)
        weights = seeded_dropout(weights, self.dropout, dropout_seed, f"{self.name} weights")
        attended = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])  # [batch, seq, heads, width]
        joined = tf.reshape(attended, [-1, length, self.dim])  # [batch, seq, dim]
        return joined if self.output_projection is None else self.output_projection(joined)

    def _split(self, projected: tf.Tensor) -> tf.Tensor:
        shape = [-1, tf.shape(projected)[1], self.heads, self.dim // self.heads]
        return tf.transpose(tf.reshape(projected, shape), [0, 2, 1, 3])  # [batch, heads, seq, width]

    def get_config(self) -> dict[str, object]:
        return {
            **super().get_config(),
            "dim": self.dim,
            "heads": self.heads,
            "dropout": self.dropout,
            "projection": self.projection,
            "seed": self.seed,
        }
