"""DCN-v2: a cross network beside a dense one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.config.click_baseline_configs import DCNv2Config
from tfrec.data.impressions.fields import FieldSet
from tfrec.layers.interactions import build_interaction
from tfrec.models.click_network import ClickNetwork
from tfrec.models.impression_model import Batch
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("dcn_v2")
class DCNv2(ClickNetwork):
    """Cross layers over the vectors of all features, and a dense network, side by side into one logit.

    Args: as of `ImpressionModel`.

    Reference: arXiv 2008.13535, parallel structure with full matrices.
    """

    config_class = DCNv2Config
    network_outputs = 0

    def __init__(self, config: Any, fields: FieldSet, **kwargs: Any) -> None:
        super().__init__(config, fields, **kwargs)
        width = self.network_width()
        dim = config.embedding_dim
        seed = derive_seed(self.seed, "cross")
        self.cross = build_interaction(
            "cross_v2", width // dim, dim, config.cross_layers, dropout=0.0, seed=seed, name="cross"
        )
        initializer = keras.initializers.GlorotNormal(derive_seed(self.seed, "output"))
        self.output_layer = keras.layers.Dense(1, kernel_initializer=initializer, name="output")
        self.output_layer.build((None, width + (config.hidden[-1] if config.hidden else width)))

    def explain(self, batch: Batch) -> dict[str, Any]:
        return self.told_of_fields(self.cross, self.features(batch, None))

    def logits(self, batch: Batch, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        features = self.features(batch, dropout_seed)
        both = [self.cross(features), self.network(features, dropout_seed=dropout_seed)]
        return self.output_layer(tf.concat(both, axis=1))[:, 0]
