"""Scores of each target's own negatives."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


@tf.custom_gradient
def own_scores(
    states: tf.Tensor, vectors: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, None]]]:
    """Products of each state with rows of its own.

    The gradient by the vectors is a sparse matrix times the states; the usual way over one slice per negative writes
    and sums `[targets, negatives, dim]` numbers, which takes several times as long.

    Args:
        states: float32 `[targets, dim]`.
        vectors: float32 `[vectors, dim]`.
        rows: Rows of `vectors`, int32 `[targets, negatives]`.

    Returns:
        float32 `[targets, negatives]`.
    """
    own = tf.gather(vectors, rows)  # [targets, negatives, dim]

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, None]:
        shape = tf.shape(rows, out_type=tf.int64)
        target = tf.repeat(tf.range(shape[0]), shape[1])  # [targets * negatives]
        places = tf.stack([target, tf.cast(tf.reshape(rows, [-1]), tf.int64)], axis=1)  # [targets * negatives, 2]
        by_score = tf.SparseTensor(
            places, tf.reshape(upstream, [-1]), tf.stack([shape[0], tf.shape(vectors, out_type=tf.int64)[0]])
        )  # [targets, vectors]
        by_vectors = tf.sparse.sparse_dense_matmul(by_score, states, adjoint_a=True)  # [vectors, dim]
        return tf.linalg.matvec(own, upstream, transpose_a=True), by_vectors, None

    return tf.linalg.matvec(own, states), gradient
