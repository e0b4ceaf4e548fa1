"""Exact search among all items."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.index.block_top_k import BLOCK, block_top_k
from tfrec.serving.index.item_vectors import checked_bias, checked_vectors
from tfrec.serving.index.query_groups import in_groups
from tfrec.serving.index.vector_index import VectorIndex

_GROUP = 256  # queries that are scored together, at most
_KEPT = 1 << 22  # results that are kept for one group: 32 MiB
_SCORES = 1 << 21  # scores that one chunk may make: 8 MiB
_PARALLEL_CHUNKS = 2
_ALIGNMENT = BLOCK  # a slice from a multiple of so many rows is no copy, whatever the width

Ranked = tuple[tf.Tensor, tf.Tensor]
"""Scores, float32 `[batch, any]`, descending, and row numbers, int32 of the same shape."""


class ExactIndex(VectorIndex):
    """Scores every item, in chunks, and keeps the best.

    The scores of all items never stand in memory at once: chunks of items are scored and ranked, two at a time, and the
    best of each are merged with the best so far. A batch takes up to 256 queries at a time, fewer when many results are
    asked for. So the working memory is bounded: some tens of megabytes beside the results themselves, whatever the
    catalogue, the batch and k.

    Args:
        vectors: float32 `[n, dim]`; row r belongs to item index `first_index` + r. Indices 0 and 1 are reserved:
            such rows can be looked up and are never returned.
        bias: float32 `[n]`, added to the scores. Default: none.
        first_index: Item index of the first row: 0, 1 or 2. Default: 0.
        chunk: Items that are scored together, at most. Default: 1,048,576.
        name: Name of the module.

    Raises:
        ConfigError: Shapes that do not fit, or values that are not finite.

    Example:
        >>> index = ExactIndex(np.array([[0], [0], [1], [3], [2]], np.float32))
        >>> scores, items = index.search(tf.constant([[2.0]]), 2)
        >>> scores.numpy().tolist(), items.numpy().tolist()
        ([[6.0, 4.0]], [[3, 4]])
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float32] | tf.Tensor,
        bias: npt.NDArray[np.float32] | tf.Tensor | None = None,
        *,
        first_index: int = 0,
        chunk: int = 1 << 20,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        vectors = checked_vectors(vectors, first_index)
        self.num_rows, self.dim = vectors.shape
        self.first_index = first_index
        self._skipped = FIRST_INDEX - first_index
        self.num_items = self.num_rows - self._skipped
        self.vectors = tf.Variable(vectors, trainable=False, name="vectors")
        self.bias = None
        if bias is not None:
            self.bias = tf.Variable(checked_bias(bias, self.num_rows), trainable=False, name="bias")
        self._chunk = max(BLOCK, chunk // BLOCK * BLOCK)

    def vectors_of(self, indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.vectors, indices - self.first_index)

    def bias_of(self, indices: tf.Tensor) -> tf.Tensor:
        if self.bias is None:
            return tf.zeros(tf.shape(indices))
        return tf.gather(self.bias, indices - self.first_index)

    def _nearest(self, queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        group = tf.clip_by_value(_KEPT // tf.maximum(k, 1), 1, _GROUP)
        return in_groups(lambda part: self._nearest_of_group(part, k), [queries], group)

    def _nearest_of_group(self, queries: tf.Tensor, k: tf.Tensor) -> Ranked:
        # The chunks begin and end at multiples of 128 rows; what is before and behind them is ranked by itself.
        start = min(_ALIGNMENT, self.num_rows) if self._skipped else 0
        stop = max(start, self.num_rows // _ALIGNMENT * _ALIGNMENT)
        best = self._best_rows(queries, self._skipped, start, k) if start else None
        if stop > start:
            best = self._best_of_chunks(queries, start, stop, k, best)
        if stop < self.num_rows:
            last = self._best_rows(queries, stop, self.num_rows, k)
            best = last if best is None else _merged(best, last, k)
        assert best is not None, "There is no item."
        return best[0], best[1] + self.first_index

    def _best_of_chunks(self, queries: tf.Tensor, start: int, stop: int, k: tf.Tensor, best: Ranked | None) -> Ranked:
        """Returns the best of neighbouring rows and of those before, `[batch, min(k, stop - skipped)]`."""
        batch = tf.shape(queries)[0]
        # Large batches take fewer items at a time.
        fitting = _SCORES // tf.maximum(batch, 1) // BLOCK * BLOCK
        size = tf.clip_by_value(fitting, min(self._chunk, 1 << 13), self._chunk)
        count = -(-(stop - start) // size)
        if best is None:
            best = tf.zeros([batch, 0]), tf.zeros([batch, 0], tf.int32)

        def step(i: tf.Tensor, scores: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # Nothing but the merging waits for the round before: two chunks are scored at a time.
            first = start + i * size
            found = self._best_rows(queries, first, tf.minimum(first + size, stop), k)
            return i + 1, *_merged((scores, rows), found, k)

        any_width = tf.TensorShape([None, None])
        _, scores, rows = tf.while_loop(
            lambda i, *_: i < count,
            step,
            (tf.constant(0), *best),
            shape_invariants=(tf.TensorShape([]), any_width, any_width),
            parallel_iterations=_PARALLEL_CHUNKS,
        )
        return scores, rows

    def _best_rows(self, queries: tf.Tensor, start: tf.Tensor | int, stop: tf.Tensor | int, k: tf.Tensor) -> Ranked:
        """Returns the best of neighbouring rows, `[batch, min(k, stop - start)]`."""
        scores = tf.matmul(queries, self.vectors[start:stop], transpose_b=True)  # [batch, rows]
        if self.bias is not None:
            scores += self.bias[start:stop]
        scores, places = block_top_k(scores, k)
        return scores, places + start


def _merged(first: Ranked, second: Ranked, k: tf.Tensor) -> Ranked:
    """Returns the best of both; of equal scores those of the first come first."""
    scores, rows = (tf.concat([one, other], axis=1) for one, other in zip(first, second, strict=True))
    scores, places = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
    return scores, tf.gather(rows, places, batch_dims=1)
