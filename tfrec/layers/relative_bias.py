"""What a query adds to its score of a key for how far away the key is: in events, and in time."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

TIME_BUCKETS = 129
"""Rows of a table of time distances."""

_LOG_STEP = 0.301
"""Width of a bucket in natural logarithms of seconds."""


class RelativeBias(NamedTuple):
    """Learned biases, shared by the heads of a layer.

    Attributes:
        by_distance: Bias per number of events between query and key, float32 `[longest]`; 0 for the event itself.
        by_time: Bias per bucket of the time from the key to the event *after* the query, float32 `[129]`.
    """

    by_distance: tf.Tensor | None
    by_time: tf.Tensor | None


KEPT_PAIRS = 1 << 22
"""Pairs of events whose buckets and biases are kept for all layers and for the gradient; more are computed again."""


def kept_buckets(next_time: tf.Tensor, key_time: tf.Tensor) -> tf.Tensor:
    """Returns `time_buckets` of windows int64 `[batch, seq]`, or an empty tensor where there would be too many."""
    pairs = tf.size(key_time) * tf.shape(key_time)[1]
    return tf.cond(
        pairs <= KEPT_PAIRS,
        lambda: time_buckets(next_time, key_time),
        lambda: tf.zeros([0, 0, 0], tf.int32),
    )  # [batch, seq, seq] or [0, 0, 0]


def time_buckets(next_time: tf.Tensor, key_time: tf.Tensor) -> tf.Tensor:
    """Returns `floor(ln(max(|next - key|, 1 s)) / 0.301)`, at most 128: 1 s is 0, an hour 27, 30 days 49.

    Args:
        next_time: Time of the event after each query, milliseconds, int64 `[..., queries]`.
        key_time: Time of each key, milliseconds, int64 `[..., keys]`.

    Returns:
        int32 `[..., queries, keys]`.

    Reference: facebookresearch/generative-recommenders 2e81fab, research HSTU.
    """
    apart = tf.abs(next_time[..., :, tf.newaxis] - key_time[..., tf.newaxis, :])  # [..., queries, keys]
    seconds = tf.maximum(tf.cast(apart, tf.float32) * 1e-3, 1.0)
    return tf.minimum(tf.cast(tf.math.log(seconds) * (1.0 / _LOG_STEP), tf.int32), TIME_BUCKETS - 1)
