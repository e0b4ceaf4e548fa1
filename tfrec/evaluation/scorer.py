"""What the evaluation asks of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import tensorflow as tf

Batch = Mapping[str, tf.Tensor]


class Scorer(Protocol):
    """Anything that can score the whole catalogue for every target of a batch.

    A batch is what `tfrec.data.sequence_pipeline.sequence_dataset` yields: `item` `[batch, seq]` padded on the right
    with 0, `timestamp` `[batch, seq]`, `length` `[batch]`, `num_targets` `[batch]`. A scorer that also has
    `encode_targets(batch)` `[targets, dim]` and `item_table()` (`[vocab, dim]`, bias `[vocab]` or None) is
    *factorised*: score = encoding . row + bias. The evaluation then makes the scores itself, chunk by chunk.
    """

    @property
    def vocab_size(self) -> int:
        """Number of item indices, padding (0) and out-of-vocabulary (1) included."""

    def score_targets(self, batch: Batch) -> tf.Tensor:
        """Returns the scores of all items given the events before each target, float32 `[targets, vocab]`."""
