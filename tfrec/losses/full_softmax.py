"""Softmax over all items, without ever holding all scores of a large step."""

from __future__ import annotations

import tensorflow as tf

from tfrec.losses.log_normalizer import scores_against_all


def full_softmax(
    states: tf.Tensor,
    targets: tf.Tensor,
    vectors: tf.Tensor,
    bias: tf.Tensor | None,
    *,
    reserved: int = 0,
    label_smoothing: float = 0.0,
) -> tf.Tensor:
    """Cross-entropy of each target among all items.

    With `K` items and smoothing `e` the target keeps `1 - e` and each other item gets `e / (K - 1)`.

    Args:
        states: float `[targets, dim]`.
        targets: Row of each target in `vectors`, int `[targets]`.
        vectors: float `[items, dim]`.
        bias: float `[items]` or None.
        reserved: So many leading rows are no candidates: they are left out, and get no gradient.
        label_smoothing: Smoothing `e` in [0, 1).

    Returns:
        Loss per target, float32 `[targets]`.
    """
    loss, target_scores = scores_against_all(states, vectors, bias, targets, reserved=reserved)  # [targets]
    if label_smoothing == 0.0:
        return loss - target_scores
    # -sum_j y_j (score_j - log Z) with sum_j y_j = 1; the sum of all scores needs only the sum of all vectors.
    states, vectors = tf.cast(states, tf.float32), vectors[reserved:]
    items = tf.cast(tf.shape(vectors)[0], tf.float32)
    share = label_smoothing / tf.maximum(items - 1.0, 1.0)
    all_scores = tf.linalg.matvec(states, tf.reduce_sum(tf.cast(vectors, tf.float32), axis=0))  # [targets]
    if bias is not None:
        all_scores += tf.reduce_sum(tf.cast(bias[reserved:], tf.float32))
    return loss - (1.0 - share * items) * target_scores - share * all_scores
