"""What encoders with attention share: item inputs and learned positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfrec.data.dataset import InteractionDataset
from tfrec.layers.initializers import GateInitializer
from tfrec.layers.item_tower import FeatureShape
from tfrec.models.item_inputs import build_items, item_shapes
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.seeds import derive_seed


class AttentionEncoder(SequenceEncoder):
    """Sequence encoder whose inputs are item vectors, with those of their side features, plus learned positions.

    Args:
        config: An `ItemInputsConfig` with `dim`, `max_length`, `positions`, `scale_inputs` and `init_stddev`.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        features: Shape of every feature of items; none for items that are their ids.
        item_bias: Add a learned bias to the score of each item; not with features.
    """

    def __init__(
        self,
        config: Any,
        vocab_size: int,
        *,
        seed: int = 0,
        features: Mapping[str, FeatureShape] | None = None,
        item_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.features = dict(features or {})
        self.items = build_items(
            config, vocab_size, self.features, use_bias=item_bias, seed=seed, dtype=self.dtype_policy
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

    @classmethod
    def for_dataset(cls, config: Any, dataset: InteractionDataset, **kwargs: Any) -> AttentionEncoder:
        model = cls(config, dataset.item_vocabulary.size, features=item_shapes(config, dataset), **kwargs)
        model.refresh_items(dataset)
        return model

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "features": self.features}

    def _inputs(
        self, items: tf.Tensor, position: tf.Tensor, length: tf.Tensor, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Vectors of events at positions int32 `[window]` or `[batch, window]`: float `[batch, window, dim]`."""
        states = self.input_vectors(items, dropout_seed)
        if self.config.scale_inputs:
            states *= self.config.dim**0.5
        if self.positions is None:
            return states
        if self.config.positions == "from_end":
            position = tf.maximum(length[:, tf.newaxis] - 1 - position, 0)  # [batch, window]
        return states + tf.cast(tf.gather(self.positions.value, position), states.dtype)
