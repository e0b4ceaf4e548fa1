"""Which events of a batch are to be predicted, and from where."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


def target_positions(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns where each prediction is made and what it should be.

    Targets are the last `num_targets` events of each sequence; each is predicted from the event before it. Rows are in
    row-major order: sequence by sequence, target by target.

    Args:
        batch: A batch of `sequence_dataset`: `item` int32 `[batch, seq]` right-padded, `length` and `num_targets`
            `[batch]`.

    Returns:
        `query_index` int32 `[targets, 2]`, the (row, position) of the last known event, and `target` int32 `[targets]`,
        the item index to predict.

    Example:
        >>> batch = {"item": tf.constant([[5, 6, 7, 0]]), "length": tf.constant([3]), "num_targets": tf.constant([2])}
        >>> query_index, target = target_positions(batch)
        >>> query_index.numpy().tolist(), target.numpy().tolist()
        ([[0, 0], [0, 1]], [6, 7])
    """
    item = tf.convert_to_tensor(batch["item"])  # [batch, seq]
    length = tf.cast(batch["length"], tf.int32)[:, tf.newaxis]  # [batch, 1]
    first = length - tf.cast(batch["num_targets"], tf.int32)[:, tf.newaxis]  # [batch, 1]
    position = tf.range(tf.shape(item)[1], dtype=tf.int32)[tf.newaxis, :]  # [1, seq]
    is_target = (position >= tf.maximum(first, 1)) & (position < length)  # [batch, seq]
    target_index = tf.cast(tf.where(is_target), tf.int32)  # [targets, 2]
    target = tf.gather_nd(item, target_index)  # [targets]
    query_index = target_index - tf.constant([[0, 1]], tf.int32)  # [targets, 2]
    return query_index, tf.cast(target, tf.int32)
