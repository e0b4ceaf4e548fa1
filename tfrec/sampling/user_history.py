"""Which items a user's own sequence holds, so that they are not taken for negatives."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX


class UserHistory:
    """Distinct items of every sequence of a step; answers in time that grows with the step, not with the vocabulary.

    Args:
        history: int32 `[batch, length]`, padded with 0; reserved indices are no items.

    Attributes:
        items: Each distinct item once, ascending, elsewhere 0: int32 `[batch, length]`.
    """

    def __init__(self, history: tf.Tensor) -> None:
        self._ordered = tf.sort(history, axis=1)  # [batch, length]
        before = tf.pad(self._ordered[:, :-1], [[0, 0], [1, 0]], constant_values=-1)  # [batch, length]
        first = (self._ordered != before[:, : tf.shape(history)[1]]) & (self._ordered >= FIRST_INDEX)
        self.items = tf.where(first, self._ordered, 0)

    def contains(self, ids: tf.Tensor, sequences: tf.Tensor) -> tf.Tensor:
        """Tells which ids occur in a sequence: ids int32 `[rows, any]`, sequences int32 `[rows]` -> bool of ids."""
        ordered = tf.gather(self._ordered, sequences)  # [rows, length]
        place = tf.searchsorted(ordered, ids)  # [rows, any]
        place = tf.minimum(place, tf.shape(ordered)[1] - 1)
        return tf.gather(ordered, place, batch_dims=1) == ids

    def columns(self, candidates: tf.Tensor, sequences: tf.Tensor | None = None) -> tf.Tensor:
        """Returns where the items of every sequence stand among candidates.

        Args:
            candidates: Distinct ids, int32 `[candidates]`.
            sequences: Rows of the sequences to look at, int32 `[sequences]`. Default: all of the batch.

        Returns:
            int32 `[sequences, length]`; the number of candidates stands for "not among them".
        """
        count = tf.size(candidates)
        order = tf.argsort(candidates)  # [candidates]
        ordered = tf.concat([tf.gather(candidates, order), [tf.int32.max]], axis=0)  # [candidates + 1]
        order = tf.concat([order, [count]], axis=0)
        items = self.items if sequences is None else tf.gather(self.items, sequences)  # [sequences, length]
        place = tf.searchsorted(ordered, tf.reshape(items, [-1]))  # [sequences * length]
        place = tf.reshape(place, tf.shape(items))  # [sequences, length]
        return tf.where(tf.gather(ordered, place) == items, tf.gather(order, place), count)

    def share(self, log_probability: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Returns the probability that one draw gives an item of each sequence, float32 `[batch]`."""
        probability = tf.exp(log_probability(self.items))  # [batch, length]
        return tf.reduce_sum(tf.where(self.items >= FIRST_INDEX, probability, 0.0), axis=1)
