"""Sums the gradients of rows that were looked up more than once."""

from __future__ import annotations

import tensorflow as tf


class DistinctSlices(tf.IndexedSlices):
    """Sparse gradient of a model that looked up every row once, so that there is nothing to sum."""


def deduplicate(gradient: tf.IndexedSlices) -> tuple[tf.Tensor, tf.Tensor]:
    """Coalesces a sparse gradient: every row appears once, with the sum of its slices.

    Keras 3 does not do this before Adagrad, Adam, RMSprop or gradient clipping, whose results are then wrong: the
    square of a sum is not the sum of squares. `DistinctSlices` are passed on as they are.

    Args:
        gradient: Slices with indices `[slices]` and values `[slices, ...]`.

    Returns:
        `(rows [unique], values [unique, ...])`, rows in order of first appearance.
    """
    if isinstance(gradient, DistinctSlices):
        return gradient.indices, gradient.values
    rows, position = tf.unique(gradient.indices)
    return rows, tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
