"""Softmax cross-entropy over a set of candidates."""

from __future__ import annotations

import tensorflow as tf

from tfrec.losses.masking import MASKED_LOGIT


def cross_entropy(
    scores: tf.Tensor, target_columns: tf.Tensor, column_mask: tf.Tensor, *, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Cross-entropy of the target among the candidates, computed from logits.

    With `K` candidates and smoothing `e`: `(1 - e K / (K - 1)) (-log p_target) + e / (K - 1) sum_j (-log p_j)`.

    Args:
        scores: float `[rows, candidates]`, logits (after the logQ correction if there is one).
        target_columns: int `[rows]`.
        column_mask: bool `[candidates]`, False for columns that are not candidates.
        label_smoothing: Smoothing `e` in [0, 1).

    Returns:
        Loss per row, float `[rows]`. Meaningless (but finite) where the target's own column is masked.

    Reference: GRU4Rec `cross-entropy` and `xe_logit`, which are equal in exact arithmetic.
    Differences: the reference takes `-log(p + 1e-24)` of a computed softmax; the logit form needs no such guard.
    """
    masked = tf.where(column_mask, scores, MASKED_LOGIT)  # [rows, candidates]
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(target_columns, masked)  # [rows]
    if label_smoothing == 0.0:
        return loss
    candidates = tf.reduce_sum(tf.cast(column_mask, scores.dtype))
    log_normaliser = tf.reduce_logsumexp(masked, axis=-1)  # [rows]
    all_columns = candidates * log_normaliser - tf.reduce_sum(tf.where(column_mask, scores, 0.0), axis=-1)  # [rows]
    share = label_smoothing / tf.maximum(candidates - 1.0, 1.0)
    return (1.0 - share * candidates) * loss + share * all_columns
