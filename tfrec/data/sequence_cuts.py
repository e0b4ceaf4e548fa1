"""Random cuts of sequences: what is known, and the events that are to be predicted from it."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX


class SequenceCuts(NamedTuple):
    """One cut per sequence.

    Attributes:
        early: Events that a long-term memory may know, int32 `[batch]`; all targets come after them.
        cut: Events before the targets, int32 `[batch]`.
        events: Number of events after the cut that are targets, known items or not, int32 `[batch]`.
        target: Item indices of targets that are items, int32 `[targets]`.
        row: Sequence of each, int32 `[targets]`.
    """

    early: tf.Tensor
    cut: tf.Tensor
    events: tf.Tensor
    target: tf.Tensor
    row: tf.Tensor


def sequence_cuts(
    items: tf.Tensor, length: tf.Tensor, seed: tf.Tensor, *, targets: int, early_share: float = 0.0, last: int = 0
) -> SequenceCuts:
    """Draws a cut of every sequence.

    Args:
        items: int32 `[batch, seq]`, right-padded with 0.
        length: int32 `[batch]`.
        seed: int32 `[2]`.
        targets: Most events after a cut that are targets.
        early_share: Leading share of a sequence in which no target is.
        last: Cut only among so many last events; 0: anywhere.
    """
    early = tf.cast(tf.cast(length, tf.float32) * early_share, tf.int32)
    first = tf.maximum(early, 1)
    if last:
        first = tf.maximum(first, length - last)
    choices = tf.maximum(length - first, 1)
    drawn = tf.random.stateless_uniform(tf.shape(length), seed)
    cut = first + tf.minimum(tf.cast(drawn * tf.cast(choices, tf.float32), tf.int32), choices - 1)
    events = tf.clip_by_value(length - cut, 0, targets)
    position = tf.range(tf.shape(items)[1])
    chosen = (position >= cut[:, tf.newaxis]) & (position < (cut + events)[:, tf.newaxis]) & (items >= FIRST_INDEX)
    place = tf.cast(tf.where(chosen), tf.int32)  # [targets, 2]
    return SequenceCuts(early, cut, events, tf.gather_nd(items, place), place[:, 0])
