"""Exact top-k of every row, several times faster than a heap over all columns."""

from __future__ import annotations

import tensorflow as tf

BLOCK = 64


def column_blocks(scores: tf.Tensor) -> tf.Tensor:
    """Cuts the columns into blocks of 64, the last one filled up with minus infinity.

    Args:
        scores: float `[rows, columns]`.

    Returns:
        float `[rows, blocks, 64]`.
    """
    rows, columns = tf.shape(scores)[0], tf.shape(scores)[1]
    blocks = (columns + BLOCK - 1) // BLOCK
    padding = [[0, 0], [0, blocks * BLOCK - columns]]
    filled = tf.pad(scores, padding, constant_values=-float("inf"))  # [rows, blocks * 64]
    return tf.reshape(filled, [rows, blocks, BLOCK])


def top_columns(blocks: tf.Tensor, k: int) -> tf.Tensor:
    """Returns the columns of the k highest scores of every row, best first, equal scores by column.

    The k highest scores lie in the k blocks with the highest maxima: only these are searched. (Were one of them in
    another block, each of the k blocks would hold a score that goes before it.)

    Args:
        blocks: Scores without NaN as `column_blocks` returns them, `[rows, blocks, 64]`; minus infinity marks what must
            not be returned.
        k: Number of columns, at most as many as there are; 0 gives an empty result.

    Returns:
        int32 `[rows, k]`; -1 where the score is minus infinity.
    """
    rows, number = tf.shape(blocks)[0], tf.shape(blocks)[1]
    if k == 0:
        return tf.zeros([rows, 0], tf.int32)

    def search_all() -> tuple[tf.Tensor, tf.Tensor]:
        values, found = tf.math.top_k(tf.reshape(blocks, [rows, number * BLOCK]), k)  # [rows, k]
        return values, found

    def search_best_blocks() -> tuple[tf.Tensor, tf.Tensor]:
        _, best = tf.math.top_k(tf.reduce_max(blocks, axis=2), k)  # [rows, k]
        best = tf.sort(best, axis=1)  # ascending, so that equal scores keep the order of their columns
        part = tf.reshape(tf.gather(blocks, best, batch_dims=1), [rows, k * BLOCK])
        values, place = tf.math.top_k(part, k)  # [rows, k]
        return values, tf.gather(best, place // BLOCK, batch_dims=1) * BLOCK + place % BLOCK

    known = blocks.shape[1]
    if known is not None:  # the branch that is not taken might not even have a valid shape
        values, found = search_best_blocks() if known > 2 * k else search_all()
    else:
        values, found = tf.cond(number > 2 * k, search_best_blocks, search_all)
    return tf.where(tf.equal(values, -float("inf")), -1, found)  # [rows, k]
