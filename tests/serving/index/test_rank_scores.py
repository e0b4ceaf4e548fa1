"""Ranking of given scores against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.oracles.top_k import best_items
from tfrec.serving.index.rank_scores import rank_scores

_RANK = tf.function(
    rank_scores,
    input_signature=[
        tf.TensorSpec([None, None], tf.float32),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([None, None], tf.int32),
        tf.TensorSpec([None, None], tf.int32),
        tf.TensorSpec([None], tf.bool),
    ],
)


@pytest.mark.parametrize("seed", range(12))
def test_equals_numpy(seed):
    generator = np.random.default_rng(seed)
    batch, vocab = int(generator.integers(0, 6)), int(generator.choice([3, 10, 200, 3000]))
    scores = generator.integers(0, int(generator.choice([2, 1000])), (batch, vocab)).astype(np.float32)
    scores[generator.random((batch, vocab)) < 0.1] = -np.inf
    excluded = generator.integers(-1, vocab + 3, (batch, int(generator.integers(0, 9)))).astype(np.int32)
    allowed = generator.integers(-1, vocab + 3, (batch, int(generator.integers(0, 9)))).astype(np.int32)
    has_allowed = generator.random(batch) < 0.5
    for k in (0, 1, 7, vocab + 5):
        expected = best_items(scores, k, excluded, allowed, has_allowed)
        found = _RANK(scores, k, excluded, allowed, has_allowed)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_columns_of_padding_and_unknown_items_are_never_returned():
    scores, items = rank_scores(tf.constant([[9.0, 8.0, 1.0, 2.0]]), 4)
    assert scores.numpy().tolist() == [[2.0, 1.0]]
    assert items.numpy().tolist() == [[3, 2]]


def test_a_row_of_allowed_without_items_is_no_list_unless_told_so():
    scores = tf.constant([[0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 4.0, 3.0]])
    allowed = tf.constant([[0, 1], [3, 3]])
    assert rank_scores(scores, 2, None, allowed)[1].numpy().tolist() == [[3, 2], [3, 0]]
    told = rank_scores(scores, 2, None, allowed, tf.constant([True, False]))
    assert told[1].numpy().tolist() == [[0, 0], [2, 3]]
    assert told[0].numpy().tolist() == [[-np.inf, -np.inf], [4.0, 3.0]]
