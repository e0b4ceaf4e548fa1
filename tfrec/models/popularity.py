"""The most popular items for everyone: the first row of every comparison."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from tfrec.config.strict_model import StrictModel
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.data.targets import target_positions
from tfrec.models.counting_recommender import CountingRecommender, CountTables, popularity_fraction
from tfrec.models.sequence_recommender import Batch
from tfrec.registry import register_model


class PopularityConfig(StrictModel):
    """Popularity has no settings."""


@register_model("popularity")
class Popularity(CountingRecommender):
    """Scores every item by its number of training events, whatever the sequence holds.

    The score is that number over the largest one plus one, so it lies in [0, 1).

    Example:
        Events 2 2 2 3: item 2 scores 3/4, item 3 scores 1/4.
    """

    config_class = PopularityConfig
    table_dtypes: ClassVar[dict[str, str]] = {"popularity": "float32"}

    def count(self, sequences: SequenceArrays) -> CountTables:
        return {"popularity": popularity_fraction(sequences.items, self.vocab_size)}

    def score_targets(self, batch: Batch) -> tf.Tensor:
        _, target = target_positions(batch)  # [targets]
        return tf.tile(self.table("popularity")[tf.newaxis, :], [tf.size(target), 1])  # [targets, vocab]
