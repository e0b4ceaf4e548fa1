"""How much targets count by what kind of event they are: a click more than an exposure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.errors import ConfigError, did_you_mean


class TargetWeights:
    """Weight of every target by the value of a feature of its event.

    Args:
        feature: Name of the feature in batches.
        vocabulary: Its values.
        weights: Weight by raw value as text; values that are not named have weight 1.

    Raises:
        ConfigError: A value does not exist.
    """

    def __init__(self, feature: str, vocabulary: Vocabulary, weights: Mapping[str, float]) -> None:
        self.feature = feature
        known = {str(raw): index for index, raw in enumerate(vocabulary.ids.tolist(), start=FIRST_INDEX)}
        table = np.ones(vocabulary.size, np.float32)
        for value, weight in weights.items():
            if value not in known:
                raise ConfigError(
                    f"`objective.weights` names the value `{value}`, which no training event has in `{feature}`.",
                    remedy=did_you_mean(value, known),
                )
            table[known[value]] = weight
        self._table = tf.constant(table)  # [values]

    def __call__(self, batch: Mapping[str, tf.Tensor], query_index: tf.Tensor) -> tf.Tensor:
        """Returns the weights of targets, float32 `[targets]`.

        Args:
            batch: Holds the feature, int `[batch, seq]`.
            query_index: Row and position of the state before each target, int32 `[targets, 2]`.
        """
        value = tf.gather_nd(batch[self.feature], query_index + tf.constant([0, 1]))  # [targets]
        return tf.gather(self._table, value)
