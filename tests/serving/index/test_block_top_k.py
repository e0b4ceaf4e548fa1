"""Two-stage selection against a stable argsort."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.serving.index.block_top_k import BLOCK, block_top_k


def _expected(scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, 20 * BLOCK, 20 * BLOCK + 1, 21 * BLOCK - 1])
@pytest.mark.parametrize("k", [0, 1, 2, 4, 5, 19, 10_000])
@pytest.mark.parametrize("levels", [1, 3, 1_000_000])
def test_equals_a_stable_argsort(length, k, levels):
    scores = np.random.default_rng(length).integers(0, levels, (3, length)).astype(np.float32)
    values, places = block_top_k(tf.constant(scores), k)
    expected = _expected(scores, k)
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(places, expected[1])


def test_one_block_may_hold_all_of_the_best():
    scores = np.zeros((1, 40 * BLOCK), np.float32)
    scores[0, 17 * BLOCK : 17 * BLOCK + 9] = np.arange(1, 10)
    _, places = block_top_k(tf.constant(scores), 8)
    assert places.numpy().tolist() == [[17 * BLOCK + i for i in range(8, 0, -1)]]


def test_entries_that_are_minus_infinity_come_last_in_order():
    scores = np.full((2, 30 * BLOCK + 5), -np.inf, np.float32)
    scores[0, [700, 3000]] = [1.0, 2.0]
    values, places = block_top_k(tf.constant(scores), 4)
    assert places.numpy().tolist() == [[3000, 700, 0, 1], [0, 1, 2, 3]]
    assert values.numpy().tolist() == [[2.0, 1.0, -np.inf, -np.inf], [-np.inf] * 4]


def test_in_a_graph_with_unknown_shapes():
    function = tf.function(
        block_top_k, input_signature=[tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([], tf.int32)]
    )
    scores = np.random.default_rng(0).integers(0, 50, (4, 5000)).astype(np.float32)
    for k in (0, 3, 4999, 6000):
        np.testing.assert_array_equal(function(scores, k)[1], _expected(scores, k)[1])
    assert function(scores[:0], 3)[1].shape == (0, 3)
    assert function(scores[:, :0], 3)[1].shape == (4, 0)
