"""One block of a causal transformer: attention and feed-forward sub-layers with residuals and layer norms."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfrec.layers.causal_attention import CausalAttention
from tfrec.layers.feed_forward import FeedForward
from tfrec.layers.norms import norm_layer
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class TransformerBlock(keras.layers.Layer):
    """Attention `A(query source, context)` and feed-forward `F`, joined in one of three ways.

    * `pre`: `y = LN1(x); x = x + A(y, y); x = x + F(LN2(x))`, optionally with gates:
      `x = x + sigmoid(W x) * A(y, y)` and likewise for `F`.
    * `post`: `x = LN1(x + A(x, x)); x = LN2(x + F(x))`.
    * `reference`: `q = LN1(x); y = LN2(q + A(q, x)); x = y + F(y)`.

    Args:
        dim: Width.
        heads: Attention heads.
        hidden: Hidden width of the feed-forward sub-layer.
        norm: `pre`, `post` or `reference`.
        feed_forward: `relu`, `gelu` or `swiglu`.
        gated: Gates; only with `pre`.
        dropout: Drop-out of attention weights, hidden values and sub-layer outputs.
        projection: Dense layer after the attention heads.
        epsilon: Epsilon of the norms.
        norm_kind: `layer`, or `rms`: by the root mean square.
        seed: Seed of the initial weights.

    Reference: arXiv 1808.09781; gates: LiGR, arXiv 2502.03417.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        hidden: int,
        *,
        norm: str = "pre",
        feed_forward: str = "relu",
        gated: bool = False,
        dropout: float = 0.0,
        projection: bool = True,
        epsilon: float = 1e-6,
        norm_kind: str = "layer",
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.settings = {
            "dim": dim,
            "heads": heads,
            "hidden": hidden,
            "norm": norm,
            "feed_forward": feed_forward,
            "gated": gated,
            "dropout": dropout,
            "projection": projection,
            "epsilon": epsilon,
            "norm_kind": norm_kind,
            "seed": seed,
        }
        self.dim = dim
        self.norm = norm
        self.dropout = dropout
        policy = self.dtype_policy
        self.attention = CausalAttention(
            dim,
            heads,
            dropout=dropout,
            projection=projection,
            seed=derive_seed(seed, "attention"),
            name=f"{self.name}_attention",
            dtype=policy,
        )
        self.feed_forward = FeedForward(
            dim,
            hidden,
            kind=feed_forward,
            dropout=dropout,
            seed=derive_seed(seed, "feed-forward"),
            name=f"{self.name}_feed_forward",
            dtype=policy,
        )
        self.first_norm = norm_layer(norm_kind, epsilon=epsilon, name="first_norm", dtype=policy)
        self.second_norm = norm_layer(norm_kind, epsilon=epsilon, name="second_norm", dtype=policy)
        self.gates: list[keras.layers.Dense] = [
            keras.layers.Dense(
                dim,
                activation="sigmoid",
                kernel_initializer=keras.initializers.GlorotUniform(seed=derive_seed(seed, name)),
                name=name,
                dtype=policy,
            )
            for name in (("attention_gate", "feed_forward_gate") if gated else ())
        ]

    def build(self, input_shape: object = None) -> None:
        self.attention.build()
        self.feed_forward.build()
        for layer in (self.first_norm, self.second_norm, *self.gates):
            layer.build((None, None, self.dim))
        self.built = True

    def call(self, inputs: tf.Tensor, real: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Applies the block.

        Args:
            inputs: float `[batch, seq, dim]`.
            real: bool `[batch, seq]`, False at padding.
            dropout_seed: int `[2]`; None means no drop-out.

        Returns:
            float `[batch, seq, dim]`.
        """

        def drop(values: tf.Tensor, place: str) -> tf.Tensor:
            return seeded_dropout(values, self.dropout, dropout_seed, f"{self.name} {place}")

        def attend(queries: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
            return drop(self.attention(queries, context, real, dropout_seed=dropout_seed), "attention")

        def feed(values: tf.Tensor) -> tf.Tensor:
            return drop(self.feed_forward(values, dropout_seed=dropout_seed), "feed-forward")

        if self.norm == "post":
            states = self.first_norm(inputs + attend(inputs, inputs))
            return self.second_norm(states + feed(states))
        if self.norm == "reference":
            queries = self.first_norm(inputs)
            states = self.second_norm(queries + attend(queries, inputs))
            return states + feed(states)
        normed = self.first_norm(inputs)
        attended = attend(normed, normed)
        states = inputs + (self.gates[0](inputs) * attended if self.gates else attended)
        fed = feed(self.second_norm(states))
        return states + (self.gates[1](states) * fed if self.gates else fed)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), **self.settings}
