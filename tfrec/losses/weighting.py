"""Column weights shared by the losses over candidate scores.

Candidates that occur several times (ids drawn twice, targets of several rows) are scored once and weighted by how often
they occur, which leaves every loss and gradient as if they were columns of their own. A weight of 0 masks a column.
"""

from __future__ import annotations

import tensorflow as tf

MASKED_LOGIT = -1e30
"""Finite stand-in for minus infinity: its exponential is 0 and its product with a zero weight is not NaN."""


def log_weights(weights: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of weights, `MASKED_LOGIT` where a weight is 0."""
    positive = weights > 0
    return tf.where(positive, tf.math.log(tf.where(positive, weights, 1.0)), MASKED_LOGIT)


def negative_weights(target_columns: tf.Tensor, column_weights: tf.Tensor) -> tf.Tensor:
    """Returns how often each candidate is a negative of each row: one time less in the column of the row's target.

    Args:
        target_columns: int `[rows]`, the column that holds each row's target.
        column_weights: float `[candidates]`.

    Returns:
        float `[rows, candidates]`.
    """
    target = tf.one_hot(target_columns, tf.size(column_weights), dtype=column_weights.dtype)  # [rows, candidates]
    return tf.maximum(column_weights - target, 0.0)


def softmax_of_negatives(scores: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Row softmax over the negatives only; a negative of weight w gets the share of w equal columns.

    Args:
        scores: float `[rows, candidates]`.
        weights: float `[rows, candidates]` of `negative_weights`.

    Returns:
        float `[rows, candidates]`; columns of weight 0 hold 0.

    Reference: GRU4Rec (arXiv 1706.03847), `softmax_neg`.
    """
    return tf.nn.softmax(scores + log_weights(weights))


def target_index(target_columns: tf.Tensor) -> tf.Tensor:
    """Returns `(row, column)` of every row's target, int `[rows, 2]`."""
    return tf.stack([tf.range(tf.size(target_columns), dtype=target_columns.dtype), target_columns], axis=1)


def score_of_target(scores: tf.Tensor, target_columns: tf.Tensor) -> tf.Tensor:
    """Returns the score of each row's target, float `[rows, 1]`."""
    return tf.gather_nd(scores, target_index(target_columns))[:, tf.newaxis]
