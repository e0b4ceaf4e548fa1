"""The best of very many scores in two stages."""

from __future__ import annotations

import tensorflow as tf

BLOCK = 128


def block_top_k(scores: tf.Tensor, k: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns what `tf.math.top_k` does, several times faster for long rows.

    Reading a row once for the maxima of its blocks of 128 is cheap. The k best entries of the row lie in the k blocks
    with the largest maxima: each block before another in that order has an entry before all entries of the other. So
    only k * 128 entries are left to rank. Equal maxima are taken in the order of the blocks, and the chosen blocks are
    put back in their order, so that equal scores keep the order of their positions.

    Args:
        scores: float32 `[batch, n]`; NaN is not allowed.
        k: How many, a number or an int32 scalar; above n: n.

    Returns:
        Scores, float32 `[batch, min(k, n)]`, descending, and their positions, int32 of the same shape; of equal scores
        the smaller position comes first.
    """
    batch, length = tf.shape(scores)[0], tf.shape(scores)[1]
    k = tf.minimum(tf.convert_to_tensor(k, tf.int32), length)

    def in_two_stages() -> tuple[tf.Tensor, tf.Tensor]:
        missing = -length % BLOCK
        padded = tf.cond(
            tf.equal(missing, 0),
            lambda: scores,
            lambda: tf.pad(scores, [[0, 0], [0, missing]], constant_values=-float("inf")),
        )
        blocks = tf.reshape(padded, [batch, (length + missing) // BLOCK, BLOCK])  # [batch, blocks, 128]
        _, best = tf.math.top_k(tf.reduce_max(blocks, axis=2), k)
        best = tf.sort(best, axis=1)  # [batch, k]
        candidates = tf.reshape(tf.gather(blocks, best, batch_dims=1), [batch, k * BLOCK])
        values, places = tf.math.top_k(candidates, k)
        return values, tf.gather(best, places // BLOCK, batch_dims=1) * BLOCK + places % BLOCK

    def at_once() -> tuple[tf.Tensor, tf.Tensor]:
        values, places = tf.math.top_k(scores, k)
        return values, places

    # With few blocks per wanted entry there is nothing to leave out.
    values, places = tf.cond(k * 4 < length // BLOCK, in_two_stages, at_once)
    return values, places
