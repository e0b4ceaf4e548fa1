"""Drop-out whose mask depends on a seed only, so that a resumed run repeats it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.seeds import derive_seed


def seeded_dropout(inputs: tf.Tensor, rate: float, seed: tf.Tensor | None, purpose: str) -> tf.Tensor:
    """Sets elements to zero with probability `rate` and scales the others by `1 / (1 - rate)`.

    Args:
        inputs: float of any shape.
        rate: Probability, in [0, 1).
        seed: int `[2]`, seed of the step; None means inference: no drop-out.
        purpose: Name of the place; different places draw different masks.

    Returns:
        Same shape and type as `inputs`.
    """
    if seed is None or rate == 0.0:
        return inputs
    place = tf.stack([seed[0], seed[1] + tf.cast(derive_seed(0, purpose), seed.dtype)])
    return tf.nn.experimental.stateless_dropout(inputs, rate, place)


def kept_whole(shape: Any, rate: float, seed: tf.Tensor, purpose: str) -> tf.Tensor:
    """Draws what is left out whole, and not made up for by scaling the rest: bool, False with probability `rate`.

    Args:
        shape: Shape of the mask.
        rate: Probability, in [0, 1).
        seed: int `[2]`, seed of the step.
        purpose: Name of the place; different places draw different masks.
    """
    place = seed + tf.constant([derive_seed(0, purpose) >> 1, 0], seed.dtype)
    return tf.random.stateless_uniform(shape, place) >= rate
