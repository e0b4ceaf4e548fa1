"""Work on many queries, a group at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def in_groups(
    work: Callable[..., tuple[tf.Tensor, tf.Tensor]], inputs: Sequence[tf.Tensor], group: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies a function to groups of rows one after the other, so that its memory does not grow with the batch.

    Args:
        work: Takes rows of `inputs` and returns scores, float32 `[rows, k]`, and indices, int32 `[rows, k]`.
        inputs: Tensors `[batch, ...]`.
        group: Rows per call, at least 1.

    Returns:
        Scores and indices of all rows, `[batch, k]`.
    """
    batch = tf.shape(inputs[0])[0]

    def in_loop() -> tuple[tf.Tensor, tf.Tensor]:
        count = -(-batch // group)
        scores = tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=[None, None])
        indices = tf.TensorArray(tf.int32, count, infer_shape=False, element_shape=[None, None])

        def step(i: tf.Tensor, scores: tf.TensorArray, indices: tf.TensorArray) -> tuple[tf.Tensor, ...]:
            part = work(*(tensor[i * group : (i + 1) * group] for tensor in inputs))
            return i + 1, scores.write(i, part[0]), indices.write(i, part[1])

        _, scores, indices = tf.while_loop(
            lambda i, *_: i < count, step, (tf.constant(0), scores, indices), parallel_iterations=1
        )
        return scores.concat(), indices.concat()

    scores, indices = tf.cond(batch <= group, lambda: work(*inputs), in_loop)
    return scores, indices
