"""Buckets that widen with the distance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.log_buckets import log_buckets


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
