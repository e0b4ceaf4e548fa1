from __future__ import annotations

import numpy as np

from tests.sequence_batches import make_arrays, make_batch
from tfrec.models.popularity import Popularity, PopularityConfig
from tfrec.models.session_popularity import SessionPopularity, SessionPopularityConfig

# Events per item: 2 three times, 3 twice, 4 once, 5 never. Fractions over 3 + 1: 3/4, 2/4, 1/4, 0.
TRAIN = [[2, 3, 2], [4, 2, 3]]


def test_popularity_scores_training_counts_whatever_the_history() -> None:
    model = Popularity(PopularityConfig(), vocab_size=6)
    model.fit_sequences(make_arrays(TRAIN))
    scores = model.score_targets(make_batch([[5, 4, 3], [2, 2]])).numpy()
    np.testing.assert_array_equal(scores, [[0, 0, 0.75, 0.5, 0.25, 0]] * 3)


def test_session_popularity_counts_the_prefix_first() -> None:
    model = SessionPopularity(SessionPopularityConfig(), vocab_size=6)
    model.fit_sequences(make_arrays(TRAIN))
    scores = model.score_targets(make_batch([[5, 4, 5, 2], [3, 1, 2]])).numpy()
    # Prefixes 5 | 5 4 | 5 4 5 || 3 | 3 1 (out of vocabulary is not counted).
    expected = [
        [0, 0, 0.75, 0.5, 0.25, 1.0],
        [0, 0, 0.75, 0.5, 1.25, 1.0],
        [0, 0, 0.75, 0.5, 1.25, 2.0],
        [0, 0, 0.75, 1.5, 0.25, 0.0],
        [0, 0, 0.75, 1.5, 0.25, 0.0],
    ]
    np.testing.assert_array_equal(scores, expected)
