"""Losses over pairs of windows: bounds and hand arithmetic."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.losses.user_pairs import bpr_in_batch, pair_bpr, softmax_in_batch

VECTORS = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]


def test_bpr_of_the_specification() -> None:
    """Differences 1, 0, -1 have the mean .77322; equal vectors start at ln 2, and cosines bound the loss."""
    np.testing.assert_allclose(
        tf.reduce_mean(pair_bpr(tf.constant([1.0, 0.0, 0.0]), [0.0, 0.0, 1.0])), 0.77322, atol=1e-5
    )
    found = pair_bpr(tf.constant([0.3, 1.0, -1.0]), tf.constant([0.3, -1.0, 1.0]))
    np.testing.assert_allclose(found, [0.69315, 0.12693, 2.12693], atol=1e-5)
    np.testing.assert_allclose(
        pair_bpr(tf.constant(1.0), tf.constant(0.0), temperature=0.5), np.log1p(np.exp(-2)), 1e-5
    )


def test_one_negative_each_by_a_shift() -> None:
    """Shifted by one, row 0 meets the short vector of row 2, row 1 of 0, row 2 of 1; rows of one user are left out."""
    long, short = tf.constant(VECTORS), tf.constant([[1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    found = bpr_in_batch(long, short, tf.constant([5, 6, 7]), shift=tf.constant(1))
    np.testing.assert_allclose(found, np.log1p(np.exp([0.0 - 1.0, 0.0 + 1.0, 0.0])), atol=1e-5)
    found = bpr_in_batch(long, short, tf.constant([5, 5, 7]), shift=tf.constant(1))
    assert found.numpy()[1] == 0.0
    np.testing.assert_allclose(found[0], np.log1p(np.exp(-1.0)), atol=1e-5)


def test_softmax_over_the_batch() -> None:
    long, short = tf.constant(VECTORS), tf.constant(VECTORS)
    found = softmax_in_batch(long, short, tf.constant([1, 2, 3]), temperature=0.5)
    logits = 2.0 * np.array(VECTORS) @ np.array(VECTORS).T
    expected = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # The third row belongs to the first user: it does not compete with the first.
    found = softmax_in_batch(long, short, tf.constant([1, 2, 1]), temperature=0.5)
    np.testing.assert_allclose(found[0], np.log(np.exp(2.0) + np.exp(0.0)) - 2.0, atol=1e-5)
