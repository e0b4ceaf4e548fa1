"""What was clicked most in this session, then what is popular."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from tfrec.config.strict_model import StrictModel
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.data.targets import target_positions
from tfrec.models.counting_recommender import CountingRecommender, CountTables, popularity_fraction
from tfrec.models.sequence_recommender import Batch
from tfrec.registry import register_model


class SessionPopularityConfig(StrictModel):
    """Session popularity has no settings."""


@register_model("session_popularity")
class SessionPopularity(CountingRecommender):
    """Scores an item by its number of events in the sequence so far plus its overall popularity in [0, 1).

    Items of the session come first, most frequent first; popularity orders items with equal counts and all others.

    Example:
        After the events 3 5 3, item 3 scores 2.x, item 5 scores 1.x and all others 0.x.

    Reference: the baseline S-POP of Hidasi et al., arXiv 1511.06939, section 4.
    """

    config_class = SessionPopularityConfig
    table_dtypes: ClassVar[dict[str, str]] = {"popularity": "float32"}

    def count(self, sequences: SequenceArrays) -> CountTables:
        return {"popularity": popularity_fraction(sequences.items, self.vocab_size)}

    def score_targets(self, batch: Batch) -> tf.Tensor:
        query, target = target_positions(batch)  # [targets, 2], [targets]
        items = tf.gather(batch["item"], query[:, 0])  # [targets, seq]
        known = (tf.range(tf.shape(items)[1]) <= query[:, 1:]) & (items >= 2)  # [targets, seq]
        place = tf.where(known)  # [events, 2]
        index = tf.stack([tf.cast(place[:, 0], tf.int32), tf.boolean_mask(items, known)], axis=1)  # [events, 2]
        scores = tf.tile(self.table("popularity")[tf.newaxis, :], [tf.size(target), 1])  # [targets, vocab]
        return tf.tensor_scatter_nd_add(scores, index, tf.ones(tf.shape(index)[:1]))  # [targets, vocab]
