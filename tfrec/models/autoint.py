"""AutoInt: self-attention among the features of a row."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.config.click_baseline_configs import AutoIntConfig
from tfrec.data.impressions.fields import FieldSet
from tfrec.layers.field_attention import AutoIntStack
from tfrec.models.click_network import ClickNetwork
from tfrec.models.impression_model import Batch
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("autoint")
class AutoInt(ClickNetwork):
    """Self-attention among the vectors of all features, beside a dense network; the logits are added.

    Args: as of `ImpressionModel`.

    Reference: arXiv 1810.11921 (AutoInt+).
    Differences: one head as wide as a vector, and a layer norm, as in FESeq.
    """

    config_class = AutoIntConfig

    def __init__(self, config: Any, fields: FieldSet, **kwargs: Any) -> None:
        super().__init__(config, fields, **kwargs)
        self.attention = AutoIntStack(
            self.num_vectors,
            config.embedding_dim,
            config.attention_layers,
            dropout=config.attention_dropout,
            seed=derive_seed(self.seed, "attention"),
            name="attention",
        )
        self.attention.build()
        self.attention.built = True
        initializer = keras.initializers.GlorotNormal(derive_seed(self.seed, "output"))
        self.output_layer = keras.layers.Dense(1, kernel_initializer=initializer, name="output")
        self.output_layer.build((None, self.network_width()))

    def explain(self, batch: Batch) -> dict[str, Any]:
        return self.told_of_fields(self.attention, self.features(batch, None))

    def logits(self, batch: Batch, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        features = self.features(batch, dropout_seed)
        attended = self.output_layer(self.attention(features, dropout_seed=dropout_seed))
        return (attended + self.network(features, dropout_seed=dropout_seed))[:, 0]
