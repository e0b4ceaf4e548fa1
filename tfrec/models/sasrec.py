"""SASRec: self-attentive sequential recommendation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.config.sasrec_config import SASRecConfig
from tfrec.layers.norms import norm_layer
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
        **kwargs: Shapes of features of items and users, see `InformedEncoder`, and what Keras models take.

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
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
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
        self.final_norm = norm_layer(
            config.norm_kind, epsilon=config.norm_epsilon, name="final_norm", dtype=self.dtype_policy
        )
        self.final_norm.build((None, None, config.dim))
        self.built = True

    def encode_window(
        self,
        items: tf.Tensor,
        length: tf.Tensor,
        *,
        users: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the state after every event of a window, see `SequenceEncoder.encode_window`.

        Args:
            items: int32 `[batch, window]`, right-padded with 0, at most `config.max_length` wide.
            length: int32 `[batch]`.
            users: int32 `[batch]`, for models that are told the user. Default: all are unknown.
            dropout_seed: int32 `[2]`; None means inference.
        """
        states, real = self._embedded(items, length, users, dropout_seed)  # [batch, tokens, dim], [batch, tokens]
        mask = self._mask(real)  # [batch, tokens, 1]
        for block in self.transformer_blocks:
            states = block(states, real, dropout_seed=dropout_seed) * mask
        return self._of_events(self.final_norm(states) * mask)

    @property
    def _item_bias(self) -> bool:
        return self.config.item_bias
