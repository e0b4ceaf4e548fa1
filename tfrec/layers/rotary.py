"""Rotary positions: queries and keys are turned by an angle that grows with their position."""

from __future__ import annotations

import tensorflow as tf


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
    width = values.shape[-1]
    exponent = tf.range(0, width, 2, dtype=tf.float32) / width  # [width / 2]
    angle = tf.cast(positions, tf.float32)[..., tf.newaxis] * tf.pow(base, -exponent)  # [..., seq, width / 2]
    cosine, sine = tf.cast(tf.cos(angle), values.dtype), tf.cast(tf.sin(angle), values.dtype)
    first, second = tf.split(values, 2, axis=-1)
    return tf.concat([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
