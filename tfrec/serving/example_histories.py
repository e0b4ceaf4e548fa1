"""Histories from serialized examples of a data set, which hold indices instead of raw ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from tfrec.data.vocabulary import OOV_INDEX


class ParsedHistories(NamedTuple):
    """What `tfrec.models.history_batch` takes.

    Attributes:
        items: Item indices, int32 `[batch, n]`.
        length: Events of each history, int32 `[batch]`.
        timestamps: Milliseconds since 1970, int64 `[batch, n]`; None where they are not asked for.
        users: User indices, int32 `[batch]`, or None.
        features: Indices of further features of events, int32 `[batch, n]`.
        request_time: Time of the first target, int64 `[batch]`, or None.
    """

    items: tf.Tensor
    length: tf.Tensor
    timestamps: tf.Tensor | None
    users: tf.Tensor | None
    features: dict[str, tf.Tensor]
    request_time: tf.Tensor | None


def parse_histories(
    examples: tf.Tensor, sizes: Mapping[str, int], request_features: Collection[str]
) -> ParsedHistories:
    """Parses examples; numbers that are no index count as unknown, whatever they are.

    Args:
        examples: Serialized tf.Examples, string `[batch]`, with `item`; the last `num_targets` events (default: 0) are
            no history.
        sizes: Number of indices of `item`, of `user` where users are asked for, and of each further feature of events.
        request_features: What the model asks for besides: `timestamp`, `request_time`, `user`, features of events.
    """
    spec: dict[str, Any] = {
        "item": tf.io.RaggedFeature(tf.int64),
        "num_targets": tf.io.FixedLenFeature([], tf.int64, 0),
    }
    if "timestamp" in request_features:
        spec["timestamp"] = tf.io.RaggedFeature(tf.int64)
    more = [name for name in sizes if name not in ("item", "user")]
    spec |= {name: tf.io.RaggedFeature(tf.int64) for name in more}
    if "user" in request_features:
        spec["user"] = tf.io.FixedLenFeature([], tf.int64, OOV_INDEX)
    parsed = tf.io.parse_example(examples, spec)
    events = tf.cast(parsed["item"].row_lengths(), tf.int64)  # [batch]
    length = tf.cast(events - tf.clip_by_value(parsed["num_targets"], 0, events), tf.int32)
    items = _known(parsed["item"].to_tensor(), sizes["item"])  # [batch, n]
    width = tf.shape(items)[1]

    def beside(name: str) -> tf.Tensor:
        return tf.pad(parsed[name].to_tensor(), [[0, 0], [0, width]])[:, :width]

    times = beside("timestamp") if "timestamp" in parsed else None
    request = None
    if "request_time" in request_features:
        request = tf.gather(tf.pad(times, [[0, 0], [0, 1]]), length, batch_dims=1)  # [batch]
    users = _known(parsed["user"], sizes["user"]) if "user" in parsed else None
    features = {name: _known(beside(name), sizes[name]) for name in more}
    return ParsedHistories(items, length, times, users, features, request)


def _known(indices: tf.Tensor, size: int) -> tf.Tensor:
    """Returns int64 indices as int32, those that do not exist as out of vocabulary: compared before they are cast."""
    return tf.cast(tf.where((indices >= 0) & (indices < size), indices, OOV_INDEX), tf.int32)
