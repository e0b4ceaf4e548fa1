"""LSTM and dense network: the baseline of the Toss click competition."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.config.click_baseline_configs import LSTMConfig
from tfrec.data.impressions.fields import FieldSet
from tfrec.models.click_network import ClickNetwork
from tfrec.models.impression_model import Batch
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("lstm_mlp")
class LSTMClick(ClickNetwork):
    """An LSTM over each list; its last state, with the vectors of the other features and batch norm, into a network.

    Args: as of `ImpressionModel`.

    Reference: the organisers' notebook of the Toss click competition.
    Differences: the notebook feeds ids to the network as if they were numbers; here they have vectors.
    """

    config_class = LSTMConfig

    def __init__(self, config: Any, fields: FieldSet, **kwargs: Any) -> None:
        super().__init__(config, fields, **kwargs)
        self.recurrent: dict[str, keras.layers.LSTM] = {}
        for name in self.lists:
            seed = derive_seed(self.seed, f"lstm {name}")
            layer = keras.layers.LSTM(
                config.lstm_units,
                kernel_initializer=keras.initializers.GlorotUniform(seed),
                recurrent_initializer=keras.initializers.Orthogonal(seed=seed),
                return_sequences=True,
                name=f"lstm_{name}",
            )
            layer.build((None, None, config.embedding_dim))
            self.recurrent[name] = layer
        self.norm = keras.layers.BatchNormalization(name="norm")
        self.norm.build((None, self.network_width()))

    def network_width(self) -> int:
        return len(self.single) * int(self.config.embedding_dim) + len(self.lists) * int(self.config.lstm_units)

    def features(self, batch: Batch, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        parts = [self.vectors.side_by_side(batch, self.single)] if self.single else []
        for name, layer in self.recurrent.items():
            lengths = batch[f"{name}/length"]
            padded = tf.pad(batch[name], [[0, 0], [0, 1]])  # an LSTM needs at least one step
            states = layer(self.vectors.of_values(name, padded))  # [batch, width + 1, units]
            last = tf.gather(states, tf.maximum(lengths - 1, 0), batch_dims=1)
            parts.append(tf.where(lengths[:, tf.newaxis] > 0, last, 0.0))
        return self.norm(tf.concat(parts, axis=1), training=dropout_seed is not None)
