"""Sums the gradients of rows that were looked up more than once."""

from __future__ import annotations

import tensorflow as tf


def deduplicate(gradient: tf.IndexedSlices) -> tuple[tf.Tensor, tf.Tensor]:
    """Coalesces a sparse gradient: every row appears once, with the sum of its slices.

    Keras 3 does not do this before Adagrad, Adam, RMSprop or gradient clipping, whose results are then wrong: the
    square of a sum is not the sum of squares. Slices without repetition, as models make them that look up distinct rows
    only, are passed on without a copy.

    Args:
        gradient: Slices with indices `[slices]` and values `[slices, ...]`.

    Returns:
        `(rows [unique], values [unique, ...])`, rows in order of first appearance.
    """
    rows, position = tf.unique(gradient.indices)
    values = tf.cond(
        tf.size(rows) < tf.size(gradient.indices),
        lambda: tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows)),
        lambda: gradient.values,
    )
    return rows, values
