"""Exact search among all items."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.index.block_top_k import BLOCK, block_top_k
from tfrec.serving.index.candidate_lists import MISSING_SCORE
from tfrec.serving.index.item_vectors import checked_bias, checked_vectors
from tfrec.serving.index.query_groups import in_groups
from tfrec.serving.index.vector_index import VectorIndex

_GROUP = 256  # queries that are scored together
_SCORES = 1 << 21  # scores that one chunk may make: 8 MiB
_PARALLEL_CHUNKS = 2
_ALIGNMENT = BLOCK  # a slice from a multiple of so many rows is no copy, whatever the width


class ExactIndex(VectorIndex):
    """Scores every item, in chunks, and keeps the best.

    The scores of all items never stand in memory at once: chunks of items are scored and ranked in parallel, and the
    best of each chunk are ranked again. A batch takes 256 queries at a time. So the working memory is bounded: some
    tens of megabytes, whatever the catalogue and the batch.

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
        return in_groups(lambda group: self._nearest_of_group(group, k), [queries], _GROUP)

    def _nearest_of_group(self, queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The chunks begin and end at multiples of 128 rows; what is before and behind them is ranked by itself.
        start = min(_ALIGNMENT, self.num_rows) if self._skipped else 0
        stop = max(start, self.num_rows // _ALIGNMENT * _ALIGNMENT)
        parts = [self._best_rows(queries, self._skipped, start, k)] if start else []
        if stop > start:
            parts.append(self._best_of_chunks(queries, start, stop, k))
        if stop < self.num_rows:
            parts.append(self._best_rows(queries, stop, self.num_rows, k))
        scores = tf.concat([part[0] for part in parts], axis=1)
        rows = tf.concat([part[1] for part in parts], axis=1)
        scores, places = block_top_k(scores, k)
        return scores, tf.gather(rows, places, batch_dims=1) + self.first_index

    def _best_of_chunks(self, queries: tf.Tensor, start: int, stop: int, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.shape(queries)[0]
        # Large batches take fewer items at a time.
        fitting = _SCORES // tf.maximum(batch, 1) // BLOCK * BLOCK
        size = tf.clip_by_value(fitting, min(self._chunk, 1 << 13), self._chunk)
        count = -(-(stop - start) // size)
        width = tf.minimum(k, size)

        def chunk(i: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            first = start + i * size
            scores, rows = self._best_rows(queries, first, tf.minimum(first + size, stop), k)
            missing = width - tf.shape(scores)[1]  # the last chunk may be smaller than k
            scores = tf.pad(scores, [[0, 0], [0, missing]], constant_values=MISSING_SCORE)
            return scores, tf.pad(rows, [[0, 0], [0, missing]])

        scores, rows = tf.map_fn(
            chunk,
            tf.range(count),
            parallel_iterations=_PARALLEL_CHUNKS,
            fn_output_signature=(tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None, None], tf.int32)),
        )  # [count, batch, width]
        return _side_by_side(scores, batch, count * width), _side_by_side(rows, batch, count * width)

    def _best_rows(
        self, queries: tf.Tensor, start: tf.Tensor | int, stop: tf.Tensor | int, k: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns scores and row numbers of the best among neighbouring rows, `[batch, min(k, stop - start)]`."""
        scores = tf.matmul(queries, self.vectors[start:stop], transpose_b=True)  # [batch, rows]
        if self.bias is not None:
            scores += self.bias[start:stop]
        scores, places = block_top_k(scores, k)
        return scores, places + start


def _side_by_side(parts: tf.Tensor, batch: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.transpose(parts, [1, 0, 2]), [batch, width])
