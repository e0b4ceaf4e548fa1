"""Softmax over all items, without ever holding all scores of a large step."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

CHUNK_BYTES = 64 << 20
"""Largest `[targets, items]` matrix that is held at once."""


def log_normalizer(states: tf.Tensor, vectors: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """`log sum_j exp(state . vector_j + bias_j)` per state.

    The exponentials of the first `CHUNK_BYTES` of scores are kept for the gradient, those of further targets computed
    again. The gradient never normalises them: it divides the narrow factors of its two products instead.

    Args:
        states: float `[targets, dim]`; products and sums are taken in float32.
        vectors: float `[items, dim]`.
        bias: float `[items]` or None.

    Returns:
        float32 `[targets]`.
    """
    states, vectors = tf.cast(states, tf.float32), tf.cast(vectors, tf.float32)
    if bias is not None:  # as one more dimension, the bias needs no pass over the scores
        states = tf.concat([states, tf.ones([tf.shape(states)[0], 1])], axis=1)  # [targets, dim + 1]
        vectors = tf.concat([vectors, tf.cast(bias, tf.float32)[:, tf.newaxis]], axis=1)  # [items, dim + 1]
    return _log_normalizer(states, vectors)


@tf.custom_gradient
def _log_normalizer(
    states: tf.Tensor, vectors: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    count = tf.shape(states)[0]
    rows = tf.maximum(CHUNK_BYTES // (4 * tf.maximum(tf.shape(vectors)[0], 1)), 1)
    exponentials, highest, total = _exponentials(states[:rows], vectors)  # [rows, items], [rows, 1], [rows, 1]
    first = tf.math.log(total) + highest  # [rows, 1]

    def forward(start: tf.Tensor, result: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        _, further_highest, further_total = _exponentials(states[start : start + rows], vectors)
        return start + rows, tf.concat([result, tf.math.log(further_total) + further_highest], axis=0)

    _, result = tf.while_loop(
        lambda start, _: start < count,
        forward,
        (rows, first),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 1])),
    )

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        by_vectors, by_states = _products(exponentials, total, upstream[:rows], states[:rows], vectors)

        def backward(start: tf.Tensor, by_states: tf.Tensor, by_vectors: tf.Tensor) -> tuple[tf.Tensor, ...]:
            chunk = states[start : start + rows]
            again, _, further_total = _exponentials(chunk, vectors)
            more_vectors, more_states = _products(again, further_total, upstream[start : start + rows], chunk, vectors)
            return start + rows, tf.concat([by_states, more_states], axis=0), by_vectors + more_vectors

        _, by_states, by_vectors = tf.while_loop(
            lambda start, *_: start < count,
            backward,
            (rows, by_states, by_vectors),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, states.shape[1]]), by_vectors.shape),
        )
        return by_states, by_vectors

    return result[:, 0], gradient


def _exponentials(states: tf.Tensor, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns `exp(scores - highest)` `[rows, items]`, the highest score and the sum, both `[rows, 1]`."""
    scores = tf.matmul(states, vectors, transpose_b=True)  # [rows, items]
    highest = tf.reduce_max(scores, axis=1, keepdims=True)  # [rows, 1]
    exponentials = tf.exp(scores - highest)  # [rows, items]
    return exponentials, highest, tf.reduce_sum(exponentials, axis=1, keepdims=True)


def _products(
    exponentials: tf.Tensor, total: tf.Tensor, upstream: tf.Tensor, states: tf.Tensor, vectors: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the gradients by vectors `[items, dim]` and by states `[rows, dim]`: softmax = exponentials / total."""
    scale = upstream[:, tf.newaxis] / total  # [rows, 1]
    by_vectors = tf.matmul(exponentials, states * scale, transpose_a=True)  # [items, dim]
    return by_vectors, tf.matmul(exponentials, vectors) * scale


def full_softmax(
    states: tf.Tensor,
    targets: tf.Tensor,
    vectors: tf.Tensor,
    bias: tf.Tensor | None,
    *,
    label_smoothing: float = 0.0,
) -> tf.Tensor:
    """Cross-entropy of each target among all items.

    With `K` items and smoothing `e` the target keeps `1 - e` and each other item gets `e / (K - 1)`.

    Args:
        states: float `[targets, dim]`.
        targets: Row of each target in `vectors`, int `[targets]`.
        vectors: float `[items, dim]`, candidates only.
        bias: float `[items]` or None.
        label_smoothing: Smoothing `e` in [0, 1).

    Returns:
        Loss per target, float32 `[targets]`.
    """
    states = tf.cast(states, tf.float32)
    target_scores = tf.reduce_sum(states * tf.cast(tf.gather(vectors, targets), tf.float32), axis=1)  # [targets]
    if bias is not None:
        target_scores += tf.cast(tf.gather(bias, targets), tf.float32)
    loss = log_normalizer(states, vectors, bias)  # [targets]
    if label_smoothing == 0.0:
        return loss - target_scores
    # -sum_j y_j (score_j - log Z) with sum_j y_j = 1; the sum of all scores needs only the sum of all vectors.
    items = tf.cast(tf.shape(vectors)[0], tf.float32)
    share = label_smoothing / tf.maximum(items - 1.0, 1.0)
    all_scores = tf.linalg.matvec(states, tf.reduce_sum(tf.cast(vectors, tf.float32), axis=0))  # [targets]
    if bias is not None:
        all_scores += tf.reduce_sum(tf.cast(bias, tf.float32))
    return loss - (1.0 - share * items) * target_scores - share * all_scores
