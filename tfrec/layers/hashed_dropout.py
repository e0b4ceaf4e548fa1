"""Drop-out of large matrices whose mask costs a product per element instead of a random number."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.seeds import derive_seed


def random_shorts(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws random odd numbers, int16 `[count]`; `seed` is int32 `[2]`."""
    drawn = tf.random.stateless_uniform([(count + 1) // 2], seed, minval=None, maxval=None, dtype=tf.int32)
    return tf.bitwise.bitwise_or(tf.reshape(tf.bitcast(drawn, tf.int16), [-1])[:count], tf.constant(1, tf.int16))


def keep_mask(of_row: tf.Tensor, of_column: tf.Tensor, rate: float) -> tf.Tensor:
    """Returns which elements are kept.

    The element at (i, j) is decided by the product of a random odd number of i and one of j, modulo 2^16: every odd
    product is equally likely, whatever one of the two numbers is, and any two elements are independent (but for rows
    or columns that drew the same of 32,768 numbers). Rates are multiples of 2^-15.

    Args:
        of_row: From `random_shorts`, int16 `[..., rows, 1]`.
        of_column: From `random_shorts`, int16 `[..., 1, columns]`.
        rate: Probability of dropping, in [0, 1).

    Returns:
        bool `[..., rows, columns]`.
    """
    threshold = -(2**15) + 2 * min(round(rate * 2**15), 2**15 - 1)
    return of_row * of_column >= tf.constant(threshold, tf.int16)


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
    drawn = random_shorts(rows + columns, place)
    kept = keep_mask(drawn[:rows, tf.newaxis], drawn[tf.newaxis, rows:], rate)

    @tf.custom_gradient
    def drop(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def masked(these: tf.Tensor) -> tf.Tensor:
            # A mask of numbers is faster than a choice; it is made again for gradients, not held as long as values.
            with tf.control_dependencies([these]):
                mask = tf.cast(kept, these.dtype)
            return mask * these * (1.0 / (1.0 - rate))

        return masked(values), masked

    return drop(inputs)
