"""Column masks shared by the losses over candidate scores."""

from __future__ import annotations

import tensorflow as tf

MASKED_LOGIT = -1e30
"""Finite stand-in for minus infinity: its exponential is 0 and its product with a zero weight is not NaN."""


def negative_weights(target_columns: tf.Tensor, column_mask: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns 1 for candidates that are negatives of their row and 0 for its target and for masked columns.

    Args:
        target_columns: int `[rows]`, the column that holds each row's target.
        column_mask: bool `[candidates]`, False for columns that are not candidates.
        dtype: Type of the result.

    Returns:
        `[rows, candidates]`.
    """
    target = tf.one_hot(target_columns, tf.size(column_mask), dtype=dtype)  # [rows, candidates]
    return (1.0 - target) * tf.cast(column_mask, dtype)


def softmax_of_negatives(scores: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Row softmax over the negatives only.

    Args:
        scores: float `[rows, candidates]`.
        weights: float `[rows, candidates]` of `negative_weights`.

    Returns:
        float `[rows, candidates]`; the target and masked columns hold 0.

    Reference: GRU4Rec (arXiv 1706.03847), `softmax_neg`.
    """
    return tf.nn.softmax(scores + (1.0 - weights) * MASKED_LOGIT) * weights


def score_of_target(scores: tf.Tensor, target_columns: tf.Tensor) -> tf.Tensor:
    """Returns the score of each row's target, float `[rows, 1]`."""
    return tf.gather(scores, target_columns, batch_dims=1)[:, tf.newaxis]
