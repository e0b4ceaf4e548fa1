"""Sums the gradients of rows that were looked up more than once."""

from __future__ import annotations

import tensorflow as tf


class DistinctSlices(tf.IndexedSlices):
    """Sparse gradient of a model that looked up every row once, so that there is nothing to sum.

    Args:
        values: Gradient of every row, float `[unique, ...]`.
        indices: Distinct rows, int `[unique]`.
        looked_up: The rows as they were looked up, float `[unique, ...]`, if the variable has not changed since:
            saves the optimiser reading them again.
    """

    def __init__(self, values: tf.Tensor, indices: tf.Tensor, *, looked_up: tf.Tensor | None = None) -> None:
        super().__init__(values, indices)
        self.looked_up = looked_up


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
