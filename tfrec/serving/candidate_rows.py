"""Which items an export may recommend, and where they stand in its index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.vocabulary import FIRST_INDEX


class CandidateRows(tf.Module):
    """Maps item indices to rows of the ranked table and back.

    Rows 0 and 1 are the reserved ones, candidates follow in the order of their indices, so that ties are broken by
    index among rows too. Without a list of candidates rows are indices.

    Args:
        vocab_size: Number of item indices.
        candidates: Indices of the items that may be recommended. Default: all.

    Attributes:
        indices: Item index of every row, int32 `[rows]`; None when rows are indices.
    """

    def __init__(self, vocab_size: int, candidates: Sequence[int] | None = None) -> None:
        super().__init__(name="candidates")
        self.num_candidates = vocab_size - FIRST_INDEX
        self.indices: NDArray[np.int32] | None = None
        self._items = self._rows = None
        if candidates is not None:
            self.indices = np.array([*range(FIRST_INDEX), *sorted(set(candidates))], np.int32)
            self.num_candidates = len(self.indices) - FIRST_INDEX
            rows = np.zeros(vocab_size, np.int32)
            rows[self.indices] = np.arange(len(self.indices), dtype=np.int32)
            self._items = tf.Variable(self.indices, trainable=False, name="items")  # [rows]
            self._rows = tf.Variable(rows, trainable=False, name="rows")  # [vocab]

    def select(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the entries of the rows: `[vocab, ...]` -> `[rows, ...]`."""
        return values if self.indices is None else values[self.indices]

    def columns(self, scores: tf.Tensor) -> tf.Tensor:
        """Returns the columns of the rows: `[batch, vocab]` -> `[batch, rows]`."""
        return scores if self._items is None else tf.gather(scores, self._items, axis=1)

    def to_rows(self, indices: tf.Tensor) -> tf.Tensor:
        """Returns the rows of item indices int32 `[...]`; 0 or 1 for what is no candidate."""
        return indices if self._rows is None else tf.gather(self._rows, indices)

    def to_indices(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the item indices of rows int32 `[...]`."""
        return rows if self._items is None else tf.gather(self._items, rows)
