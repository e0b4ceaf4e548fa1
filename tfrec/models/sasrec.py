"""SASRec: self-attentive sequential recommendation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec.config.sasrec_config import SASRecConfig
from tfrec.layers.item_tower import FeatureShape
from tfrec.layers.rms_norm import RMSNorm
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.layers.transformer_block import TransformerBlock
from tfrec.models.attention_encoder import AttentionEncoder
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("sasrec")
class SASRec(AttentionEncoder):
    """Causal transformer over item vectors plus learned positions; the score of an item is its vector times the state.

    The item table is tied: the same vectors are inputs and outputs. Padding takes no part in the attention and its
    rows are zero after every block, so that a state does not depend on how far its batch is padded.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        features: Shape of every feature of items; none for items that are their ids.

    Reference: arXiv 1808.09781.
    Differences: the loss is chosen apart from the model; positions count from the latest event by default, which is
        what left padding does; padded keys are masked, which no published version of the reference code does.
    """

    config_class = SASRecConfig
    config: SASRecConfig

    def __init__(
        self,
        config: SASRecConfig,
        vocab_size: int,
        *,
        seed: int = 0,
        features: Mapping[str, FeatureShape] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, features=features, item_bias=config.item_bias, **kwargs)
        self.transformer_blocks = [
            TransformerBlock(
                config.dim,
                config.heads,
                max(1, round(config.expansion * config.dim)),
                norm=config.norm,
                feed_forward=config.feed_forward,
                gated=config.gated,
                dropout=config.dropout,
                projection=config.attention_projection,
                epsilon=config.norm_epsilon,
                norm_kind=config.norm_kind,
                seed=derive_seed(seed, "block", number),
                name=f"block_{number}",
                dtype=self.dtype_policy,
            )
            for number in range(config.blocks)
        ]
        for block in self.transformer_blocks:
            block.build()
        normalize = RMSNorm if config.norm_kind == "rms" else keras.layers.LayerNormalization
        self.final_norm = normalize(epsilon=config.norm_epsilon, name="final_norm", dtype=self.dtype_policy)
        self.final_norm.build((None, None, config.dim))
        self.built = True

    def encode_window(self, items: tf.Tensor, length: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        position = tf.range(tf.shape(items)[1])  # [window]
        real = position < length[:, tf.newaxis]  # [batch, window]
        mask = tf.cast(real, self.compute_dtype)[:, :, tf.newaxis]  # [batch, window, 1]
        states = self._inputs(items, position, length, dropout_seed)  # [batch, window, dim]
        states = seeded_dropout(states, self.config.dropout, dropout_seed, "inputs") * mask
        for block in self.transformer_blocks:
            states = block(states, real, dropout_seed=dropout_seed) * mask
        return self.final_norm(states) * mask
