"""Multi-head self-attention with rotary positions that looks both ways."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.fan_in_uniform import fan_in_uniform
from tfrec.layers.rotary import rotate
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed

_BLOCKED = -1e9


@keras.saving.register_keras_serializable(package="tfrec")
class RotaryAttention(keras.layers.Layer):
    """Pre-norm attention `Dense(softmax(rot(q) rot(k) / sqrt(width)) v)` of every position over all real ones.

    Args:
        dim: Width of inputs and outputs.
        heads: Number of heads.
        head_dim: Width of a head; even.
        dropout: Drop-out of the attention weights and of the outputs.
        base: See `rotate`.
        epsilon: Epsilon of the layer norm.
        seed: Seed of the initial weights.

    Reference: zy-hang/LongTermInterestModel (LongTermInterestModel.py d6d860e). Differences: padding can be masked.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        head_dim: int,
        *,
        dropout: float = 0.0,
        base: float = 10_000.0,
        epsilon: float = 1e-5,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.heads = heads
        self.head_dim = head_dim
        self.dropout = dropout
        self.base = base
        self.epsilon = epsilon
        self.seed = seed
        width = heads * head_dim
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, name="norm")
        self.joined = keras.layers.Dense(
            3 * width,
            use_bias=False,
            kernel_initializer=fan_in_uniform(dim, derive_seed(seed, "joined")),
            name="query_key_value",
        )
        self.outward = keras.layers.Dense(
            dim,
            kernel_initializer=fan_in_uniform(width, derive_seed(seed, "outward")),
            bias_initializer=fan_in_uniform(width, derive_seed(seed, "outward bias")),
            name="outward",
        )

    def build(self, input_shape: object = None) -> None:
        self.norm.build((None, None, self.dim))
        self.joined.build((None, None, self.dim))
        self.outward.build((None, None, self.heads * self.head_dim))
        self.built = True

    def call(
        self, inputs: tf.Tensor, real: tf.Tensor | None = None, *, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Attends.

        Args:
            inputs: float `[batch, seq, dim]`.
            real: bool `[batch, seq]`, False at padding, of which nobody takes notice; None: there is none. Every row
                has a real position.
            dropout_seed: int `[2]`; None means no drop-out.

        Returns:
            float `[batch, seq, dim]`; rows of padding hold values of no meaning.
        """
        length = tf.shape(inputs)[1]
        joined = tf.reshape(self.joined(self.norm(inputs)), [-1, length, 3, self.heads, self.head_dim])
        query, key, value = tf.unstack(tf.transpose(joined, [2, 0, 3, 1, 4]))  # [batch, heads, seq, head_dim]
        position = tf.range(length)
        query, key = (rotate(part, position, base=self.base) for part in (query, key))
        logits = tf.matmul(query * self.head_dim**-0.5, key, transpose_b=True)  # [batch, heads, seq, seq]
        if real is not None:
            logits = tf.where(real[:, tf.newaxis, tf.newaxis], logits, _BLOCKED)
        weights = seeded_dropout(tf.nn.softmax(logits), self.dropout, dropout_seed, f"{self.name} weights")
        attended = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])  # [batch, seq, heads, head_dim]
        outputs = self.outward(tf.reshape(attended, [-1, length, self.heads * self.head_dim]))
        return seeded_dropout(outputs, self.dropout, dropout_seed, f"{self.name} outputs")

    def get_config(self) -> dict[str, object]:
        names = ("dim", "heads", "head_dim", "dropout", "base", "epsilon", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
