"""Drop-out of large matrices whose mask costs a product per element instead of a random number."""

from __future__ import annotations

import tensorflow as tf

from tfrec.seeds import derive_seed


def keep_mask(of_row: tf.Tensor, of_column: tf.Tensor, rate: float) -> tf.Tensor:
    """Returns which elements are kept.

    The element at (i, j) is decided by the product of a random odd number of i and one of j, modulo 2^32: uniform, and
    independent for any two elements.

    Args:
        of_row: Random numbers, int32 `[..., rows, 1]`; they are made odd here.
        of_column: Random numbers, int32 `[..., 1, columns]`.
        rate: Probability of dropping, in [0, 1).

    Returns:
        bool `[..., rows, columns]`.
    """
    threshold = int(-(2**31) + rate * 2**32)
    return (of_row | 1) * of_column >= threshold


def hashed_dropout(inputs: tf.Tensor, rate: float, seed: tf.Tensor | None, purpose: str) -> tf.Tensor:
    """Drops elements of a matrix, see `keep_mask`, and scales the others by `1 / (1 - rate)`.

    Args:
        inputs: float32 `[rows, columns]`.
        rate: Probability, in [0, 1).
        seed: int32 `[2]`, seed of the step; None means inference: no drop-out.
        purpose: Name of the place; different places draw different masks.
    """
    if seed is None or rate == 0.0:
        return inputs
    rows, columns = tf.shape(inputs)[0], inputs.shape[1]
    place = tf.stack([seed[0], seed[1] + tf.cast(derive_seed(0, purpose), seed.dtype)])
    drawn = tf.random.stateless_uniform([rows + columns], place, minval=None, maxval=None, dtype=tf.int32)
    kept = keep_mask(drawn[:rows, tf.newaxis], drawn[tf.newaxis, rows:], rate)
    return tf.where(kept, inputs * (1.0 / (1.0 - rate)), 0.0)
