"""SASRec: self-attentive sequential recommendation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec.config.sasrec_config import SASRecConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.layers.initializers import GateInitializer
from tfrec.layers.item_tower import FeatureShape
from tfrec.layers.rms_norm import RMSNorm
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.layers.transformer_block import TransformerBlock
from tfrec.models.item_inputs import build_items, item_shapes
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("sasrec")
class SASRec(SequenceEncoder):
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
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.features = dict(features or {})
        self.items = build_items(
            config, vocab_size, self.features, use_bias=config.item_bias, seed=seed, dtype=self.dtype_policy
        )
        self.positions: Any = None
        if config.positions != "none":
            self.positions = self.add_weight(
                shape=(config.max_length, config.dim),
                initializer=GateInitializer(
                    config.dim, bound=config.init_stddev, normal=True, seed=derive_seed(seed, "positions")
                ),
                name="positions",
            )  # [max_length, dim]
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

    @classmethod
    def for_dataset(cls, config: Any, dataset: InteractionDataset, **kwargs: Any) -> SASRec:
        model = cls(config, dataset.item_vocabulary.size, features=item_shapes(config, dataset), **kwargs)
        model.refresh_items(dataset)
        return model

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "features": self.features}

    def encode_window(self, items: tf.Tensor, length: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        position = tf.range(tf.shape(items)[1])  # [window]
        real = position < length[:, tf.newaxis]  # [batch, window]
        mask = tf.cast(real, self.compute_dtype)[:, :, tf.newaxis]  # [batch, window, 1]
        states = self.input_vectors(items, dropout_seed)  # [batch, window, dim]
        if self.config.scale_inputs:
            states *= self.config.dim**0.5
        if self.positions is not None:
            from_start = tf.broadcast_to(position, tf.shape(items))  # [batch, window]
            from_end = tf.maximum(length[:, tf.newaxis] - 1 - position, 0)  # [batch, window]
            row = from_start if self.config.positions == "from_start" else from_end
            states += tf.cast(tf.gather(self.positions.value, row), states.dtype)
        states = seeded_dropout(states, self.config.dropout, dropout_seed, "inputs") * mask
        for block in self.transformer_blocks:
            states = block(states, real, dropout_seed=dropout_seed) * mask
        return self.final_norm(states) * mask
