"""Buckets of distances that widen with the distance."""

from __future__ import annotations

import math

import tensorflow as tf

_ROUNDING = 1e-4
"""Keeps a bound between two buckets from depending on the last bits of a logarithm."""


def log_buckets(distance: tf.Tensor, num_buckets: int, max_distance: int) -> tf.Tensor:
    """Buckets of distances: the first half holds one distance each, the others are evenly spaced in its logarithm.

    Args:
        distance: From 0 on, int32 of any shape.
        num_buckets: At least 2.
        max_distance: Distances from here on are in the last bucket; above `num_buckets // 2`.

    Returns:
        From 0 to `num_buckets - 1`, int32, shape of `distance`.

    Reference: the relative positions of T5, arXiv 1910.10683.
    """
    exact = num_buckets // 2
    share = tf.math.log(tf.cast(tf.maximum(distance, exact), tf.float32) / exact) / math.log(max_distance / exact)
    far = exact + tf.cast(share * (num_buckets - exact) + _ROUNDING, tf.int32)
    return tf.where(distance < exact, distance, tf.minimum(far, num_buckets - 1))
