"""SASRec: self-attentive sequential recommendation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.config.sasrec_config import SASRecConfig
from tfrec.layers.initializers import GateInitializer
from tfrec.layers.item_table import ItemTable
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.layers.transformer_block import TransformerBlock
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

    Reference: arXiv 1808.09781.
    Differences: the loss is chosen apart from the model; positions count from the latest event by default, which is
        what left padding does; padded keys are masked, which no published version of the reference code does.
    """

    config_class = SASRecConfig
    config: SASRecConfig

    def __init__(self, config: SASRecConfig, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.items = ItemTable(
            vocab_size,
            config.dim,
            use_bias=config.item_bias,
            bound=config.init_stddev,
            normal=True,
            seed=derive_seed(seed, "items"),
            name="items",
            dtype=self.dtype_policy,
        )
        self.items.build()
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
                seed=derive_seed(seed, "block", number),
                name=f"block_{number}",
                dtype=self.dtype_policy,
            )
            for number in range(config.blocks)
        ]
        for block in self.transformer_blocks:
            block.build()
        self.final_norm = keras.layers.LayerNormalization(
            epsilon=config.norm_epsilon, name="final_norm", dtype=self.dtype_policy
        )
        self.final_norm.build((None, None, config.dim))
        self.built = True

    def encode_window(self, items: tf.Tensor, length: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        position = tf.range(tf.shape(items)[1])  # [window]
        real = position < length[:, tf.newaxis]  # [batch, window]
        mask = tf.cast(real, self.compute_dtype)[:, :, tf.newaxis]  # [batch, window, 1]
        states = self.items(items)  # [batch, window, dim]
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
