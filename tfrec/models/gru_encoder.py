"""GRU over whole sequences, trained through time with any objective."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.config.gru_encoder_config import GRUEncoderConfig
from tfrec.layers.gru_stack import GRUStack
from tfrec.layers.item_table import ItemTable
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("gru_encoder")
class GRUEncoder(SequenceEncoder):
    """The cell of GRU4Rec as an encoder like SASRec: tied item table, all positions of a window at once.

    Where `gru4rec` advances parallel sessions by one event per step and keeps the state as a constant, this model reads
    a window from the zero state and lets gradients flow through time, so that it takes the objectives of the other
    sequence encoders.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
    """

    config_class = GRUEncoderConfig
    config: GRUEncoderConfig

    def __init__(self, config: GRUEncoderConfig, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
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
        self.stack = GRUStack(
            [config.dim] * config.layers, seed=derive_seed(seed, "gru"), name="gru", dtype=self.dtype_policy
        )
        self.stack.build((None, config.dim))
        self.built = True

    def encode_window(self, items: tf.Tensor, length: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        real = tf.range(tf.shape(items)[1]) < length[:, tf.newaxis]  # [batch, window]
        inputs = tf.cast(self.items(items), tf.float32) * self.config.dim**0.5  # [batch, window, dim]
        inputs = seeded_dropout(inputs, self.config.dropout, dropout_seed, "inputs")
        states = seeded_dropout(self.stack(inputs), self.config.dropout, dropout_seed, "outputs")
        return tf.where(real[:, :, tf.newaxis], states, 0.0)
