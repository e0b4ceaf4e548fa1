"""From histories to the batch a model scores the next item from: the same offline and inside a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, PADDING_INDEX


class HistoryBatch(NamedTuple):
    """Histories as a model reads them.

    Attributes:
        batch: `item` int32 `[batch, window + 1]`, `timestamp` int64 of the same shape, `length` and `num_targets`
            int32 `[batch]`, and `user` int32 `[batch]` where users were given: one target per row, an item yet unknown.
        cold: Rows in whose window no item is known, bool `[batch]`: what a model says of them means nothing, and the
            most popular items take its place.
    """

    batch: dict[str, tf.Tensor]
    cold: tf.Tensor


def history_batch(
    items: tf.Tensor,
    length: tf.Tensor,
    *,
    window: int,
    timestamps: tf.Tensor | None = None,
    users: tf.Tensor | None = None,
    features: Mapping[str, tf.Tensor] | None = None,
    request_time: tf.Tensor | None = None,
) -> HistoryBatch:
    """Cuts histories to their latest events and appends the event that is to be predicted.

    A model scores targets from the events before them, so the position after the history becomes a target of unknown
    id, at the time of the request or, where that is not known, of the latest event.

    Args:
        items: Item indices, oldest first, int32 `[batch, n]`; 1 = unknown; anything beyond `length`.
        length: Events of each history, int32 `[batch]`.
        window: Most events that the model reads.
        timestamps: Milliseconds since 1970, int64 `[batch, n]`. Default: 0 everywhere.
        users: User indices, int32 `[batch]`. Default: the batch has none.
        features: Further features of events, int32 `[batch, n]`. Default: the batch has none.
        request_time: Milliseconds since 1970, int64 `[batch]`; 0 where it is not known. Default: 0 everywhere.

    Returns:
        The batch and the rows without a known item.

    Example:
        >>> batch, cold = history_batch(tf.constant([[5, 6, 7]]), tf.constant([3]), window=2)
        >>> batch["item"].numpy().tolist(), batch["length"].numpy().tolist(), cold.numpy().tolist()
        ([[6, 7, 0]], [3], [False])
    """
    width = tf.shape(items)[1]
    length = tf.clip_by_value(tf.cast(length, tf.int32), 0, width)
    kept = tf.maximum(tf.minimum(width, window), 1)
    first = tf.maximum(length - kept, 0)[:, tf.newaxis]  # [batch, 1]
    column = first + tf.range(kept + 1)  # [batch, kept + 1]
    inside = column < length[:, tf.newaxis]
    source = tf.minimum(column, width)

    def cut(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.pad(values, [[0, 0], [0, 1]]), source, batch_dims=1)  # [batch, kept + 1]

    item = tf.where(inside, cut(tf.cast(items, tf.int32)), PADDING_INDEX)
    cold = ~tf.reduce_any(item >= FIRST_INDEX, axis=1)  # [batch]
    length = tf.minimum(length, kept)
    # An empty row would have no target: it gets one unknown event.
    empty = tf.equal(length, 0)
    item = tf.where(empty[:, tf.newaxis] & (tf.range(kept + 1) == 0), OOV_INDEX, item)
    length = tf.where(empty, 1, length)
    if timestamps is None:
        timestamp = tf.zeros(tf.shape(item), tf.int64)
    else:
        timestamp = cut(tf.cast(timestamps, tf.int64))
        last = tf.gather(timestamp, length - 1, batch_dims=1)[:, tf.newaxis]  # [batch, 1]
        if request_time is not None:
            last = tf.where(request_time[:, tf.newaxis] > 0, request_time[:, tf.newaxis], last)
        timestamp = tf.where(inside, timestamp, tf.where(empty[:, tf.newaxis], tf.zeros_like(last), last))
    batch = {"item": item, "timestamp": timestamp, "length": length + 1, "num_targets": tf.ones_like(length)}
    for name, values in (features or {}).items():
        batch[name] = tf.where(inside, cut(tf.cast(values, tf.int32)), PADDING_INDEX)
    if users is not None:
        batch["user"] = tf.cast(users, tf.int32)
    return HistoryBatch(batch, cold)
