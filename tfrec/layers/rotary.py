"""Rotary positions: queries and keys are turned by an angle that grows with their position."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Rotation(NamedTuple):
    """Cosine and sine of the angle of every pair of components, float `[..., seq, width / 2]`."""

    cosine: tf.Tensor
    sine: tf.Tensor


def rotate(values: tf.Tensor, positions: tf.Tensor, *, base: float = 10_000.0) -> tf.Tensor:
    """Rotates pairs of components, so that products depend on the distance of positions only.

    Component i of the first half and of the second half are a pair; it turns by `position * base^(-2i / width)`.

    Args:
        values: float `[..., seq, width]`, width even.
        positions: float or int `[seq]`, or what broadcasts to `[..., seq]`.
        base: Wave length of the slowest pair over 2 pi, about.

    Returns:
        Same shape as `values`.

    Reference: RoFormer, arXiv 2104.09864; the half-split order of pairs of GPT-NeoX and LLaMA.
    """
    return turn(values, rotation(positions, values.shape[-1], base=base))


def rotation(positions: tf.Tensor, width: int, *, base: float = 10_000.0) -> Rotation:
    """Returns the angles of positions, for `turn`, so that layers can share them.

    Args:
        positions: float or int `[..., seq]`. Angles of float64 positions are taken in float64: those of a time may be
            millions of turns, of which float32 would lose the digits that count.
        width: Width of what will be turned.
        base: See `rotate`.
    """
    wide = tf.float64 if positions.dtype == tf.float64 else tf.float32
    exponent = tf.range(0, width, 2, dtype=wide) / width  # [width / 2]
    angle = tf.cast(positions, wide)[..., tf.newaxis] * tf.pow(tf.constant(base, wide), -exponent)
    return Rotation(tf.cast(tf.cos(angle), tf.float32), tf.cast(tf.sin(angle), tf.float32))


def turn(values: tf.Tensor, by: Rotation) -> tf.Tensor:
    """Turns pairs of components of float `[..., seq, width]`, see `rotate`."""
    cosine, sine = tf.cast(by.cosine, values.dtype), tf.cast(by.sine, values.dtype)
    first, second = tf.split(values, 2, axis=-1)
    return tf.concat([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
