"""Bayesian personalised ranking over a set of candidates: BPR and BPR-max."""

from __future__ import annotations

import tensorflow as tf

from tfrec.losses.weighting import negative_weights, score_of_target, softmax_of_negatives


def bpr(scores: tf.Tensor, target_columns: tf.Tensor, column_weights: tf.Tensor) -> tf.Tensor:
    """Sum over the candidates of `-log sigmoid(target - candidate)`; the target itself adds log 2 as in the source.

    Args:
        scores: float `[rows, candidates]`.
        target_columns: int `[rows]`.
        column_weights: float `[candidates]`, how often each candidate occurs; 0 masks it.

    Returns:
        Loss per row, float `[rows]`.

    Reference: GRU4Rec loss `bpr`.
    """
    margins = score_of_target(scores, target_columns) - scores  # [rows, candidates]
    return tf.linalg.matvec(tf.nn.softplus(-margins), column_weights)


def bpr_max(
    scores: tf.Tensor, target_columns: tf.Tensor, column_weights: tf.Tensor, *, score_regularization: float = 1.0
) -> tf.Tensor:
    """`-log sum_j s_j sigmoid(target - r_j) + c sum_j s_j r_j^2`, with `s` the softmax over the negatives.

    Args:
        scores: float `[rows, candidates]` after the final activation.
        target_columns: int `[rows]`.
        column_weights: float `[candidates]`, how often each candidate occurs; 0 masks it.
        score_regularization: The factor `c` (`bpreg` in GRU4Rec).

    Returns:
        Loss per row, float `[rows]`.

    Reference: arXiv 1706.03847, section 3.3; the softmax weights carry gradient as in the official code.
    """
    weights = negative_weights(target_columns, column_weights)  # [rows, candidates]
    softmax = softmax_of_negatives(scores, weights)  # [rows, candidates]
    better = tf.sigmoid(score_of_target(scores, target_columns) - scores)
    loss = -tf.math.log(tf.reduce_sum(softmax * better, axis=-1) + 1e-24)  # [rows]
    return loss + score_regularization * tf.reduce_sum(softmax * tf.square(scores), axis=-1)
