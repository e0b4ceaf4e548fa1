"""What followed the last item in the training sequences."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import tensorflow as tf
from pydantic import Field
from scipy import sparse

from tfrec.config.strict_model import StrictModel
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.data.targets import target_positions
from tfrec.models.counting_recommender import CountingRecommender, CountTables, popularity_fraction
from tfrec.models.neighbour_table import add_neighbours, neighbour_arrays, strongest_neighbours
from tfrec.models.sequence_recommender import Batch
from tfrec.registry import register_model

_CHUNK_EVENTS = 5_000_000


class MarkovConfig(StrictModel):
    """Settings of the last-item Markov model."""

    window: int = Field(
        1, ge=1, le=10, description="How many steps ahead an item still counts as a successor, with weight 1/steps."
    )
    num_neighbours: int | None = Field(
        None, ge=1, description="Successors kept per item, the heaviest; null keeps all."
    )


@register_model("markov")
class Markov(CountingRecommender):
    """Scores an item by how often it followed the last item of the sequence; popularity breaks ties and fills the rest.

    The popularity term is smaller than the smallest difference between two sums of weights, so it never overrules a
    count. An unknown last item leaves popularity alone.

    Example:
        Training sequences 2 3 and 2 3 4 with window 1: after 2, item 3 scores 2.x and item 4 only its popularity.

    Reference: Ludewig and Jannach, "Evaluation of session-based recommendation algorithms", 2018: Markov chain
    (window 1) and sequential rules (window up to 10, weight 1/steps).
    """

    config_class = MarkovConfig
    config: MarkovConfig
    table_dtypes: ClassVar[dict[str, str]] = {
        "popularity": "float32",
        "offsets": "int64",
        "neighbours": "int32",
        "weights": "float32",
    }

    def count(self, sequences: SequenceArrays) -> CountTables:
        window, size = self.config.window, self.vocab_size
        # Sums of 1/steps are multiples of 1/lcm(1..window).
        smallest_difference = 1.0 / math.lcm(*range(1, window + 1))
        followers = sparse.csr_matrix((size, size), dtype=np.float64)
        items = sequences.items
        sequence = np.repeat(np.arange(len(sequences)), sequences.lengths)
        for start in range(0, items.size, _CHUNK_EVENTS):
            stop = min(start + _CHUNK_EVENTS, items.size)
            for steps in range(1, window + 1):
                before, after = (
                    slice(start, max(start, min(stop, items.size - steps))),
                    slice(start + steps, stop + steps),
                )
                same = sequence[before] == sequence[after]
                pairs = (items[before][same], items[after][same])
                weights = np.full(pairs[0].size, 1.0 / steps)
                followers += sparse.coo_matrix((weights, pairs), shape=(size, size)).tocsr()
        return {
            "popularity": popularity_fraction(items, size) * np.float32(smallest_difference),
            **neighbour_arrays(strongest_neighbours(followers, self.config.num_neighbours)),
        }

    def score_targets(self, batch: Batch) -> tf.Tensor:
        query, target = target_positions(batch)  # [targets, 2], [targets]
        last = tf.gather_nd(batch["item"], query)  # [targets]
        rows = tf.range(tf.size(target))  # [targets]
        return add_neighbours(
            tf.tile(self.table("popularity")[tf.newaxis, :], [tf.size(target), 1]),
            rows,
            last,
            tf.ones(tf.shape(last)),
            self.table("offsets"),
            self.table("neighbours"),
            self.table("weights"),
        )  # [targets, vocab]
