"""Small sequences by hand, in the two forms in which models see them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.data.sequence_arrays import SequenceArrays


def make_batch(items: list[list[int]], num_targets: list[int] | None = None, *, width: int = 0) -> dict[str, tf.Tensor]:
    """A padded batch as the sequence pipeline yields it; by default everything after the first event is a target."""
    width = max(width, *(len(sequence) for sequence in items))
    padded = np.zeros((len(items), width), np.int32)
    for row, sequence in enumerate(items):
        padded[row, : len(sequence)] = sequence
    return {
        "item": tf.constant(padded),
        "timestamp": tf.zeros(padded.shape, tf.int64),
        "length": tf.constant([len(sequence) for sequence in items], tf.int32),
        "num_targets": tf.constant(num_targets or [len(sequence) - 1 for sequence in items], tf.int32),
    }


def make_arrays(items: list[list[int]]) -> SequenceArrays:
    """A training split in memory."""
    lengths = [len(sequence) for sequence in items]
    flat = np.array([item for sequence in items for item in sequence], np.int32)
    return SequenceArrays(
        items=flat,
        timestamps=np.arange(flat.size, dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        num_targets=np.array(lengths, np.int32) - 1,
        user_ids=np.arange(len(items)),
    )
