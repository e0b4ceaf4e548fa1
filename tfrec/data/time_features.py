"""Hour, weekday and position in the period of an event."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

_HOUR = 3_600_000
_DAY = 24 * _HOUR
_FIRST_WEEKDAY = 3  # 1 January 1970 was a Thursday
_SATURDAY = 5


class TimeFeatures(NamedTuple):
    """What the time of an event says; all of shape `[...]`.

    Attributes:
        weekday: int32, Monday 0.
        hour: int32, 0 to 23.
        is_weekend: float32, 1 on Saturday and Sunday.
        days: float32, 0 at the first training event, 1 at the last, clipped to these.
        days_to_end: float32, `1 - days`.
    """

    weekday: tf.Tensor
    hour: tf.Tensor
    is_weekend: tf.Tensor
    days: tf.Tensor
    days_to_end: tf.Tensor


def time_features(timestamps: tf.Tensor, first: int, last: int) -> TimeFeatures:
    """Splits times into features; times are UTC.

    Args:
        timestamps: Milliseconds since 1970, int64 `[...]`.
        first: Time of the first event of the training split, so that nothing of a later split enters the scale.
        last: Time of its last event.

    Returns:
        The features.

    Example:
        >>> time_features(tf.constant([1_416_268_800_000], tf.int64), 0, 1).weekday.numpy()  # 18 November 2014
        array([1], dtype=int32)
    """
    timestamps = tf.cast(timestamps, tf.int64)
    weekday = tf.cast(tf.math.floormod(timestamps // _DAY + _FIRST_WEEKDAY, 7), tf.int32)
    hour = tf.cast(tf.math.floormod(timestamps // _HOUR, 24), tf.int32)
    since = tf.cast(tf.clip_by_value(timestamps, first, max(first, last)) - first, tf.float32)
    days = since / float(max(last - first, 1))
    return TimeFeatures(weekday, hour, tf.cast(weekday >= _SATURDAY, tf.float32), days, 1.0 - days)
