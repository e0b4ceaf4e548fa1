from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.history_pooling import HistoryPooling


def test_means_by_hand() -> None:
    """Events 1, 2, 6; with decay 1/2 the last mean is (6 + 2/2 + 1/4) / (1 + 1/2 + 1/4) = 7.25 / 1.75 = 4.142857."""
    vectors = tf.constant([[[1.0], [2.0], [6.0]]])
    pooled = HistoryPooling([1.0, 0.5, 0.0])(vectors).numpy()
    np.testing.assert_allclose(pooled[0, :, 0], [1.0, 1.5, 3.0], rtol=1e-6)
    np.testing.assert_allclose(pooled[0, :, 1], [1.0, 2.5 / 1.5, 7.25 / 1.75], rtol=1e-6)
    np.testing.assert_array_equal(pooled[0, :, 2], [1.0, 2.0, 6.0])


def test_heads_are_joined_vector_by_vector() -> None:
    vectors = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    pooled = HistoryPooling([0.0, 1.0])(tf.constant(vectors)).numpy()
    assert pooled.shape == (2, 4, 6)
    np.testing.assert_allclose(pooled[:, :, :3], vectors, rtol=1e-6)
    np.testing.assert_allclose(pooled[:, 3, 3:], vectors.mean(axis=1), rtol=1e-5)


def test_a_long_history_does_not_overflow_or_vanish() -> None:
    vectors = tf.ones([1, 3000, 1])
    pooled = HistoryPooling([1.0, 0.9, 0.0])(vectors).numpy()
    np.testing.assert_allclose(pooled, np.ones((1, 3000, 3)), rtol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_long_history_in_low_precision(dtype: str) -> None:
    """In bfloat16, 256 + 1 is 256; in float16, 1000 events of 100 are infinite."""
    vectors = tf.fill([1, 1000, 1], tf.cast(100.0, dtype))
    pooled = HistoryPooling([1.0, 0.999, 0.0], dtype=dtype)(vectors)
    assert pooled.dtype == vectors.dtype
    np.testing.assert_allclose(tf.cast(pooled, tf.float32), np.full((1, 1000, 3), 100.0), rtol=4e-3)
