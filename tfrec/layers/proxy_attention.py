"""Refines vectors by a few learned tokens."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class ProxyAttention(keras.layers.Layer):
    """`LN(x + drop-out(MHA(query = x, keys and values = [x ; proxies])))` of every vector `x` by itself.

    Args:
        dim: Width of vectors and proxies.
        heads: Number of heads; divides `dim`.
        proxies: Number of learned proxy tokens.
        dropout: Drop-out of what the attention adds.
        seed: Seed of the initial weights.

    Reference: ww93/MLLM (7eb3b3d).
    """

    def __init__(
        self, dim: int, heads: int, proxies: int, *, dropout: float = 0.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.heads, self.num_proxies, self.dropout, self.seed = dim, heads, proxies, dropout, seed

        def dense(name: str) -> keras.layers.Dense:
            initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, name))
            return keras.layers.Dense(dim, kernel_initializer=initializer, name=name)

        self.query, self.key, self.value = dense("query"), dense("key"), dense("value")
        self.output_projection = dense("output")
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")

    def build(self, input_shape: object = None) -> None:
        initializer = keras.initializers.RandomNormal(stddev=0.5, seed=derive_seed(self.seed, "proxies"))
        self.proxies = self.add_weight(
            shape=(self.num_proxies, self.dim), initializer=initializer, name="proxies"
        )  # [proxies, dim]
        for layer in (self.query, self.key, self.value, self.output_projection, self.norm):
            layer.build((None, None, self.dim))
        self.built = True

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Refines float `[rows, candidates, dim]`; `dropout_seed` int32 `[2]`, None means inference."""
        query = self._split(self.query(inputs) * (self.dim // self.heads) ** -0.5)  # [rows, candidates, heads, width]
        own_key, own_value = self._split(self.key(inputs)), self._split(self.value(inputs))
        proxies = self.proxies.value[tf.newaxis]  # [1, proxies, dim]
        key, value = self._split(self.key(proxies))[0], self._split(self.value(proxies))[0]  # [proxies, heads, width]
        own = tf.reduce_sum(query * own_key, axis=-1, keepdims=True)  # [rows, candidates, heads, 1]
        weights = tf.nn.softmax(tf.concat([own, tf.einsum("rchw,phw->rchp", query, key)], axis=-1))
        attended = weights[..., :1] * own_value + tf.einsum("rchp,phw->rchw", weights[..., 1:], value)
        added = self.output_projection(tf.reshape(attended, tf.shape(inputs)))  # [rows, candidates, dim]
        return self.norm(inputs + seeded_dropout(added, self.dropout, dropout_seed, f"{self.name} proxies"))

    def _split(self, projected: tf.Tensor) -> tf.Tensor:
        shape = tf.concat([tf.shape(projected)[:-1], [self.heads, self.dim // self.heads]], axis=0)
        return tf.reshape(projected, shape)  # [.., heads, width]

    def get_config(self) -> dict[str, Any]:
        names = ("dim", "heads", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, "proxies": self.num_proxies}
