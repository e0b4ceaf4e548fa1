"""Buckets that widen with the distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.log_buckets import log_buckets


def test_four_buckets_of_eight() -> None:
    # Exact below 2; 2 + floor(2 * log(d / 2) / log(8 / 2)): 2.6 at 3, 3 at 4.
    assert log_buckets(tf.range(10), 4, 8).numpy().tolist() == [0, 1, 2, 2, 3, 3, 3, 3, 3, 3]
    assert log_buckets(tf.range(4), 4, 4).numpy().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("buckets", "furthest"), [(16, 100), (2, 3), (7, 50), (32, 500)])
def test_against_the_formula(buckets: int, furthest: int) -> None:
    expected, half = [], buckets // 2
    for distance in range(2 * furthest):
        share = math.log(max(distance, half) / half) / math.log(furthest / half)
        far = min(half + math.floor(share * (buckets - half) + 1e-4), buckets - 1)
        expected.append(distance if distance < half else far)
    found = log_buckets(tf.range(2 * furthest), buckets, furthest).numpy()
    np.testing.assert_array_equal(found, expected)
    assert (np.diff(found) >= 0).all()
    assert found[-1] == buckets - 1
