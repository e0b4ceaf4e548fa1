"""TOP1 and TOP1-max losses over a set of candidates."""

from __future__ import annotations

import tensorflow as tf

from tfrec.losses.weighting import negative_weights, score_of_target, softmax_of_negatives


def top1(scores: tf.Tensor, target_columns: tf.Tensor, column_weights: tf.Tensor) -> tf.Tensor:
    """Mean over the candidates of `sigmoid(r_j - target) + sigmoid(r_j^2)`, less the target's own regularisation term.

    Args:
        scores: float `[rows, candidates]` after the final activation.
        target_columns: int `[rows]`.
        column_weights: float `[candidates]`, how often each candidate occurs; 0 masks it.

    Returns:
        Loss per row, float `[rows]`.

    Reference: GRU4Rec loss `top1`; the constant 0.5 / candidates of the target's first term remains as there.
    """
    target = score_of_target(scores, target_columns)  # [rows, 1]
    candidates = tf.reduce_sum(column_weights)
    terms = tf.sigmoid(scores - target) + tf.sigmoid(tf.square(scores))  # [rows, candidates]
    total = tf.linalg.matvec(terms, column_weights)  # [rows]
    return (total - tf.sigmoid(tf.square(target[:, 0]))) / candidates


def top1_max(scores: tf.Tensor, target_columns: tf.Tensor, column_weights: tf.Tensor) -> tf.Tensor:
    """`sum_j s_j (sigmoid(r_j - target) + sigmoid(r_j^2))`, with `s` the softmax over the negatives.

    Args:
        scores: float `[rows, candidates]` after the final activation.
        target_columns: int `[rows]`.
        column_weights: float `[candidates]`, how often each candidate occurs; 0 masks it.

    Returns:
        Loss per row, float `[rows]`.

    Reference: arXiv 1706.03847, section 3.3.
    """
    weights = negative_weights(target_columns, column_weights)  # [rows, candidates]
    softmax = softmax_of_negatives(scores, weights)
    terms = tf.sigmoid(scores - score_of_target(scores, target_columns)) + tf.sigmoid(tf.square(scores))
    return tf.reduce_sum(softmax * terms, axis=-1)
