"""Bayesian personalised ranking over a set of candidates: BPR and BPR-max."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.layers.in_place import add_to_columns, put_in_columns
from tfrec.losses.sampled_scores import SampledScores
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


def mean_bpr(scores: SampledScores) -> tf.Tensor:
    """Mean over the negatives of a target of `-log sigmoid(target - negative)`.

    Args:
        scores: Scores of targets and negatives.

    Returns:
        Loss per target, float `[targets]`.

    Reference: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009.
    """
    return scores.mean_over_negatives(tf.nn.softplus(scores.negatives - scores.targets[:, tf.newaxis]))


def bpr_max(
    scores: tf.Tensor, target_columns: tf.Tensor, column_weights: tf.Tensor, *, score_regularization: float = 1.0
) -> tf.Tensor:
    """`-log sum_j s_j sigmoid(target - r_j) + c sum_j s_j r_j^2`, with `s` the softmax over the negatives.

    Args:
        scores: float `[rows, candidates]` after the final activation.
        target_columns: int `[rows]`.
        column_weights: float `[candidates]` or `[rows, candidates]`, how often each candidate occurs; 0 masks it.
        score_regularization: The factor `c` (`bpreg` in GRU4Rec).

    Returns:
        Loss per row, float `[rows]`.

    Reference: arXiv 1706.03847, section 3.3; the softmax weights carry gradient as in the official code.
    """
    logarithms = log_weights(column_weights)  # [candidates] or [rows, candidates]
    if column_weights.shape.rank == 2:
        column_weight = tf.gather_nd(column_weights, target_index(target_columns))  # [rows]
    else:
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
    """BPR-max from the logarithms of the column weights, and of the weight that is left to each row's own target.

    The scores are passed over as rarely as possible: passes, not arithmetic, take the time.
    """

    @tf.custom_gradient
    def loss_of(scores: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        target = tf.gather_nd(scores, target_index(target_columns))  # [rows]
        logits = put_in_columns(scores + logarithms, target_columns, target + log_target_weight)
        softmax = tf.nn.softmax(logits)  # [rows, candidates]
        better = tf.sigmoid(target[:, tf.newaxis] - scores)  # [rows, candidates]
        by_better = softmax * better  # [rows, candidates]
        chance = tf.reduce_sum(by_better, axis=-1)  # [rows]
        loss = -tf.math.log(chance + _EPSILON)  # [rows]
        if score_regularization:
            by_score = softmax * scores  # [rows, candidates]
            by_square = by_score * scores  # [rows, candidates]
            penalty = tf.reduce_sum(by_square, axis=-1)  # [rows]
            loss += score_regularization * penalty

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            # With s the softmax and b = better: d chance / d r_j = s_j (b_j - chance) - s_j b_j (1 - b_j)
            #                                                     = s_j b_j^2 - s_j chance,
            # d chance / d target = sum_j s_j b_j (1 - b_j), d penalty / d r_j = s_j r_j^2 + 2 s_j r_j - s_j penalty.
            by_squared = by_better * better  # [rows, candidates]
            outer = -upstream / (chance + _EPSILON)  # [rows]
            share = outer * chance  # [rows]
            terms = [outer[:, tf.newaxis] * by_squared]
            if score_regularization:
                factor = score_regularization * upstream  # [rows]
                share += factor * penalty
                terms += [factor[:, tf.newaxis] * by_square, (2.0 * factor)[:, tf.newaxis] * by_score]
            terms.append(-share[:, tf.newaxis] * softmax)
            by_target = outer * (chance - tf.reduce_sum(by_squared, axis=-1))  # [rows]
            return add_to_columns(tf.add_n(terms), target_columns, by_target)

        return loss, gradient

    return loss_of(scores)
