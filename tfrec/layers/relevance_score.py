"""How relevant a token is for the target: bilinear form, inner product, or a network."""

from __future__ import annotations

from typing import Literal

import keras
import tensorflow as tf

from tfrec.layers.dense_stack import DenseStack
from tfrec.seeds import derive_seed

RelevanceKind = Literal["bilinear", "dot", "din"]


@keras.saving.register_keras_serializable(package="tfrec")
class RelevanceScore(keras.layers.Layer):
    """Score of every token: `k W q` (bilinear, W from the identity), `k q` (dot), both over `sqrt(dim)`, or din.

    Args:
        dim: Width of queries and keys.
        kind: Which score; `din` is a network with Dice activations over `[q, k, q - k, q * k]`.
        scale: Divide bilinear and dot scores by `sqrt(dim)`.
        hidden: Hidden layers of `din`.
        seed: Seed of initial weights.

    Reference: FESeq (Applied Sciences 14(7):2760) section 3.5; DIN, arXiv 1706.06978.
    """

    def __init__(
        self,
        dim: int,
        kind: RelevanceKind = "bilinear",
        *,
        scale: bool = True,
        hidden: tuple[int, ...] = (512, 256, 128),
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.kind, self.scale, self.hidden, self.seed = dim, kind, scale, tuple(hidden), seed
        self.network: DenseStack | None = None
        if kind == "din":
            self.network = DenseStack(
                4 * dim, list(hidden), activation="dice", seed=derive_seed(seed, "din"), name="network"
            )

    def build(self, input_shape: object = None) -> None:
        if self.kind == "bilinear":
            self.kernel = self.add_weight(shape=(self.dim, self.dim), initializer="identity", name="kernel")
        if self.network is not None:
            self.network.build()
        self.built = True

    def call(
        self, queries: tf.Tensor, keys: tf.Tensor, row: tf.Tensor, *, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Scores tokens.

        Args:
            queries: One per row, float `[rows, dim]`.
            keys: Tokens, float `[tokens, dim]`.
            row: Row of every token, int32 `[tokens]`.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float `[tokens]`.
        """
        if self.network is not None:
            query = tf.gather(queries, row)  # [tokens, dim]
            pairs = tf.concat([query, keys, query - keys, query * keys], axis=1)
            return self.network(pairs, dropout_seed=dropout_seed)[:, 0]
        if self.kind == "bilinear":
            queries = tf.matmul(queries, tf.convert_to_tensor(self.kernel.value), transpose_b=True)
        scores = tf.reduce_sum(keys * tf.gather(queries, row), axis=1)
        return scores * (self.dim**-0.5 if self.scale else 1.0)

    def get_config(self) -> dict[str, object]:
        names = ("dim", "kind", "scale", "hidden", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
