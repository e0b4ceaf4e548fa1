"""Bayesian personalised ranking over a set of candidates: BPR and BPR-max."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.losses.weighting import log_weights, score_of_target, target_index

_EPSILON = 1e-24


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
    logarithms = log_weights(column_weights)  # [candidates]
    column_weight = tf.gather(column_weights, target_columns)  # [rows]
    log_target_weight = log_weights(tf.maximum(column_weight - 1.0, 0.0))  # a target may also be a negative
    return _bpr_max(scores, target_columns, logarithms, log_target_weight, score_regularization)


def _bpr_max(
    scores: tf.Tensor,
    target_columns: tf.Tensor,
    logarithms: tf.Tensor,
    log_target_weight: tf.Tensor,
    score_regularization: float,
) -> tf.Tensor:
    index = target_index(target_columns)  # [rows, 2]

    @tf.custom_gradient
    def loss_of(scores: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        target = tf.gather_nd(scores, index)  # [rows]
        logits = tf.tensor_scatter_nd_update(scores + logarithms, index, target + log_target_weight)
        softmax = tf.nn.softmax(logits)  # [rows, candidates]
        better = tf.sigmoid(target[:, tf.newaxis] - scores)  # [rows, candidates]
        chance = tf.reduce_sum(softmax * better, axis=-1)  # [rows]
        penalty = tf.reduce_sum(softmax * tf.square(scores), axis=-1)  # [rows]
        loss = score_regularization * penalty - tf.math.log(chance + _EPSILON)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            # With s the softmax and b = better: d chance / d r_j = s_j (b_j - chance) - s_j b_j (1 - b_j)
            #                                                     = s_j (b_j^2 - chance),
            # d chance / d target = sum_j s_j b_j (1 - b_j), d penalty / d r_j = s_j (r_j^2 - penalty + 2 r_j).
            squared = tf.square(better)
            outer = -upstream / (chance + _EPSILON)  # [rows]
            by_target = outer * (chance - tf.reduce_sum(softmax * squared, axis=-1))  # [rows]
            inner = outer[:, tf.newaxis] * (squared - chance[:, tf.newaxis])  # [rows, candidates]
            if score_regularization:
                factor = (score_regularization * upstream)[:, tf.newaxis]  # [rows, 1]
                inner += factor * (scores * (scores + 2.0) - penalty[:, tf.newaxis])
            return tf.tensor_scatter_nd_add(softmax * inner, index, by_target)

        return loss, gradient

    return loss_of(scores)
