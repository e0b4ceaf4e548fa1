from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.evaluation.similarity import SimilarityHistogram


def test_cosines_by_hand() -> None:
    # Items 2 and 3 at right angles; columns 0 and 1 would be closest of all and must not be drawn.
    table = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 0.0], [0.0, 5.0]])
    similarity = SimilarityHistogram(tf.constant(table, tf.float32))
    # Against their items: cos 0, 60 and 180 degrees; the unknown target and an empty state say nothing.
    states = [[3.0, 0.0], [0.5, np.sqrt(0.75)], [0.0, -1.0], [1.0, 1.0]]
    similarity.add(tf.constant(states[:2], tf.float32), tf.constant([2, 2]))
    similarity.add(tf.constant(states[2:], tf.float32), tf.constant([3, 1]))
    found = similarity.as_dict()
    assert found is not None
    assert len(found["edges"]) == 51
    assert sum(found["target"]) == sum(found["random"]) == 3
    assert found["target_mean"] == pytest.approx((1 + 0.5 - 1) / 3, abs=1e-6)
    assert found["target_std"] == pytest.approx(np.std([1, 0.5, -1]), abs=1e-6)
    assert [place for place, count in enumerate(found["target"]) if count] == [0, 37, 49]  # -1, 0.5, 1


def test_a_model_that_separates_is_told_from_one_that_does_not() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(500, 16))
    column = rng.integers(2, 500, 3_000)
    separations = {}
    for name, states in (("right", table[column] * 7), ("random", rng.normal(size=(3_000, 16)))):
        similarity = SimilarityHistogram(tf.constant(table, tf.float32))
        similarity.add(tf.constant(states, tf.float32), tf.constant(column, tf.int32))
        found = similarity.as_dict()
        assert found is not None
        separations[name] = found["separation"]
        assert abs(found["random_mean"]) < 4 * 0.25 / np.sqrt(3_000)  # cosines of random directions: std 1 / sqrt(16)
    # 1 in 500 random items is the target itself and counts one half.
    assert separations["right"] == pytest.approx(1 - 0.5 / 498, abs=0.002)
    assert abs(separations["random"] - 0.5) < 4 * 0.5 / np.sqrt(3_000)


def test_the_same_items_are_drawn_again_and_no_target_is_no_histogram() -> None:
    table = tf.constant(np.random.default_rng(1).normal(size=(50, 4)), tf.float32)
    found = []
    for _ in range(2):
        similarity = SimilarityHistogram(table)
        similarity.add(table[2:40] + 0.1, tf.range(2, 40))
        found.append(similarity.as_dict())
    assert found[0] == found[1]
    empty = SimilarityHistogram(table)
    empty.add(table[:1], tf.constant([1]))
    assert empty.as_dict() is None


def test_an_empty_state_has_no_direction() -> None:
    similarity = SimilarityHistogram(tf.ones([5, 3]))
    similarity.add(tf.zeros([2, 3]), tf.constant([2, 3]))
    found = similarity.as_dict()
    assert found is not None
    assert found["target_mean"] == found["random_mean"] == 0.0
