"""Softmax cross-entropy over a set of candidates."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.layers.in_place import add_to_columns
from tfrec.losses.weighting import log_weights, target_index


def cross_entropy(
    scores: tf.Tensor,
    target_columns: tf.Tensor,
    column_weights: tf.Tensor,
    *,
    label_smoothing: float = 0.0,
    bias: tf.Tensor | None = None,
) -> tf.Tensor:
    """Cross-entropy of the target among the candidates, computed from logits.

    With `K` candidates and smoothing `e`: `(1 - e K / (K - 1)) (-log p_target) + e / (K - 1) sum_j (-log p_j)`.

    Args:
        scores: float `[rows, candidates]`, logits.
        target_columns: int `[rows]`.
        column_weights: float `[candidates]`, how often each candidate occurs; 0 masks it.
        label_smoothing: Smoothing `e` in [0, 1).
        bias: Added to the scores of every row, float `[candidates]`; given here, it is added together with the
            logarithms of the weights, which is one pass less over the scores.

    Returns:
        Loss per row, float `[rows]`. Finite where the target's own column is masked.

    Reference: GRU4Rec `cross-entropy` and `xe_logit`.
    """
    logarithms = log_weights(column_weights)  # [candidates]
    offsets = logarithms if bias is None else bias + logarithms  # [candidates]
    loss = _log_normaliser_minus_target(scores, offsets, target_columns)  # [rows]
    loss += tf.gather(logarithms, target_columns)
    if label_smoothing == 0.0:
        return loss
    candidates = tf.reduce_sum(column_weights)
    biased = scores if bias is None else scores + bias  # [rows, candidates]
    log_normaliser = tf.reduce_logsumexp(scores + offsets, axis=-1)  # [rows]
    all_columns = candidates * log_normaliser - tf.linalg.matvec(biased, column_weights)  # [rows]
    share = label_smoothing / tf.maximum(candidates - 1.0, 1.0)
    return (1.0 - share * candidates) * loss + share * all_columns


def limited(loss: tf.Tensor) -> tf.Tensor:
    """`-log(p + 1e-24)` of a loss `-log p`: a hopeless target (p below 1e-24) gives a loss of 55 and no gradient.

    Args:
        loss: Loss per row, float `[rows]`.

    Returns:
        float `[rows]`.

    Reference: GRU4Rec `cross-entropy`. The limit keeps rare targets from throwing the model off at high learning rates.
    """
    return -tf.math.log(tf.exp(-loss) + 1e-24)


@tf.custom_gradient
def _log_normaliser_minus_target(
    scores: tf.Tensor, offsets: tf.Tensor, target_columns: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, None]]]:
    """`logsumexp(scores + offsets) - (scores + offsets)[target]` per row, with few passes over the scores.

    Args:
        scores: float `[rows, candidates]`.
        offsets: Added to every row, float `[candidates]`.
        target_columns: int `[rows]`.

    Returns:
        float `[rows]`; the gradient is softmax minus one-hot.
    """
    weighted = scores + offsets  # [rows, candidates]
    highest = tf.reduce_max(weighted, axis=-1, keepdims=True)  # [rows, 1]
    exponentials = tf.exp(weighted - highest)  # [rows, candidates]
    total = tf.reduce_sum(exponentials, axis=-1, keepdims=True)  # [rows, 1]
    loss = (tf.math.log(total) + highest)[:, 0] - tf.gather_nd(weighted, target_index(target_columns))  # [rows]

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
        softmax = exponentials * (upstream[:, tf.newaxis] / total)  # [rows, candidates]
        by_score = add_to_columns(softmax, target_columns, -upstream)  # [rows, candidates]
        return by_score, tf.reduce_sum(by_score, axis=0), None

    return loss, gradient
