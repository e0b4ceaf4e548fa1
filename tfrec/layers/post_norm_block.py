"""Transformer block of click models: post-norm, leaky feed-forward, over tokens without padding."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfrec.layers.blockwise_attention import blockwise_attention
from tfrec.layers.hashed_dropout import hashed_dropout
from tfrec.layers.layer_norm import FastLayerNorm
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class PostNormBlock(keras.layers.Layer):
    """Attention and feed-forward network with residuals, each followed by a layer norm.

    `s = norm(dropout(attention(x)) + x)`, `out = norm(dropout(W2 leaky(W1 s)) + s)` with a slope of 0.01.

    Args:
        dim: Width of inputs and outputs, and of the hidden layer.
        heads: Attention heads; divides `dim`.
        dropout: Drop-out of both sub-layers.
        attention_dropout: Drop-out of attention weights.
        layer_norm: Normalise after each sub-layer.
        residual: Add the input of each sub-layer.
        causal: A token sees only itself and those before it.
        seed: Seed of the initial weights.

    Reference: BST (arXiv 1905.06874); FESeq (Applied Sciences 14(7):2760).
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        layer_norm: bool = True,
        residual: bool = True,
        causal: bool = False,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.heads = dim, heads
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.layer_norm, self.residual, self.causal = layer_norm, residual, causal
        self.seed = seed
        # The framework of the reference draws its output projection from U(-1/sqrt(dim), 1/sqrt(dim)).
        bound = dim**-0.5
        uniform = keras.initializers.RandomUniform(-bound, bound, seed=derive_seed(seed, "output"))
        self.qkv = keras.layers.Dense(
            3 * dim, kernel_initializer=keras.initializers.GlorotUniform(derive_seed(seed, "qkv")), name="qkv"
        )
        self.output_projection = keras.layers.Dense(dim, kernel_initializer=uniform, name="output")
        self.wide = keras.layers.Dense(
            dim, kernel_initializer=keras.initializers.GlorotNormal(derive_seed(seed, "wide")), name="wide"
        )
        self.narrow = keras.layers.Dense(
            dim, kernel_initializer=keras.initializers.GlorotNormal(derive_seed(seed, "narrow")), name="narrow"
        )
        self.norms = [FastLayerNorm(name=f"norm_{number}") for number in range(2)] if layer_norm else []

    def build(self, input_shape: object = None) -> None:
        for layer in (self.qkv, self.output_projection, self.wide, self.narrow, *self.norms):
            layer.build((None, self.dim))
        self.built = True

    def call(self, tokens: tf.Tensor, lengths: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Transforms tokens.

        Args:
            tokens: float `[tokens, dim]`, row after row.
            lengths: Tokens of every row, int32 `[rows]`.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float `[tokens, dim]`.
        """
        attention_seed = None
        if dropout_seed is not None and self.attention_dropout:
            place = derive_seed(0, f"{self.name} attention")
            attention_seed = tf.stack([dropout_seed[0], dropout_seed[1] + place])
        attended = blockwise_attention(
            self.qkv(tokens),
            lengths,
            self.heads,
            causal=self.causal,
            dropout=self.attention_dropout,
            seed=attention_seed,
            training=dropout_seed is not None,
        )
        after = self._join(self.output_projection(attended), tokens, 0, dropout_seed)
        hidden = self.narrow(tf.nn.leaky_relu(self.wide(after), 0.01))
        return self._join(hidden, after, 1, dropout_seed)

    def attention_of_last(self, tokens: tf.Tensor, lengths: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """How much the last token of each row attends to every token of it, mean of the heads.

        Args:
            tokens: float `[tokens, dim]`, row after row.
            lengths: int32 `[rows]`.
            row: Row of every token, int32 `[tokens]`.

        Returns:
            float `[tokens]`, sum 1 per row.
        """
        width = self.dim // self.heads
        query, key, _ = tf.split(self.qkv(tokens), 3, axis=1)
        last = tf.gather(tf.gather(query, tf.cumsum(lengths) - 1), row)  # [tokens, dim]
        products = tf.reshape(last * key, [-1, self.heads, width])
        scores = tf.reduce_sum(products, axis=2) * width**-0.5  # [tokens, heads]
        scores -= tf.gather(tf.math.segment_max(scores, row), row)
        shares = tf.exp(scores)
        return tf.reduce_mean(shares / tf.gather(tf.math.segment_sum(shares, row), row), axis=1)

    def _join(self, new: tf.Tensor, before: tf.Tensor, number: int, seed: tf.Tensor | None) -> tf.Tensor:
        new = hashed_dropout(new, self.dropout, seed, f"{self.name} {number}")
        joined = new + before if self.residual else new
        return self.norms[number](joined) if self.norms else joined

    def get_config(self) -> dict[str, object]:
        names = ("dim", "heads", "dropout", "attention_dropout", "layer_norm", "residual", "causal", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
