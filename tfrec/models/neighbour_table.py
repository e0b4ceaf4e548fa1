"""Sparse item-to-item weights: built by scipy from counts, read by stock TensorFlow ops."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import sparse

NeighbourArrays = dict[str, NDArray[Any]]


def strongest_neighbours(matrix: sparse.csr_matrix, limit: int | None) -> sparse.csr_matrix:
    """Keeps the `limit` largest entries of every row, ties by the smaller column; columns in ascending order.

    Args:
        matrix: Item-to-item weights, `[rows, vocab]`.
        limit: Number of entries per row; None keeps all.

    Returns:
        A matrix of the same shape.
    """
    matrix.sum_duplicates()
    if limit is None:
        return matrix
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    place = np.arange(order.size) - matrix.indptr[rows]  # position within the row: rows stay grouped by the sort
    kept = np.sort(order[place < limit])
    lengths = np.bincount(rows[kept], minlength=matrix.shape[0])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], offsets), shape=matrix.shape)


def neighbour_arrays(matrix: sparse.csr_matrix) -> NeighbourArrays:
    """Returns the three arrays that `add_neighbours` reads.

    Args:
        matrix: Item-to-item weights, `[vocab, vocab]`.

    Returns:
        `offsets` int64 `[vocab + 1]`, `neighbours` int32 `[entries]`, `weights` float32 `[entries]`: row i holds the
        entries `offsets[i]` to `offsets[i + 1]`.
    """
    return {
        "offsets": matrix.indptr.astype(np.int64),
        "neighbours": matrix.indices.astype(np.int32),
        "weights": matrix.data.astype(np.float32),
    }


def add_neighbours(
    scores: tf.Tensor,
    rows: tf.Tensor,
    items: tf.Tensor,
    factors: tf.Tensor,
    offsets: tf.Tensor,
    neighbours: tf.Tensor,
    weights: tf.Tensor,
) -> tf.Tensor:
    """Adds, for every query n, `factors[n]` times the weights of the neighbours of `items[n]` to row `rows[n]`.

    Args:
        scores: float32 `[targets, vocab]`.
        rows: int32 `[queries]`.
        items: Item whose neighbours are added, int32 `[queries]`.
        factors: float32 `[queries]`.
        offsets: See `neighbour_arrays`.
        neighbours: See `neighbour_arrays`.
        weights: See `neighbour_arrays`.

    Returns:
        The new scores, float32 `[targets, vocab]`.
    """
    starts = tf.gather(offsets, items)  # [queries]
    ends = tf.gather(offsets, items + 1)  # [queries]
    bounds = tf.cumsum(ends - starts)  # [queries]
    entries = tf.ragged.range(starts, ends).flat_values  # [entries]
    query = tf.searchsorted(bounds, tf.range(tf.size(entries), dtype=bounds.dtype), side="right")  # [entries]
    index = tf.stack([tf.gather(rows, query), tf.gather(neighbours, entries)], axis=1)  # [entries, 2]
    values = tf.gather(factors, query) * tf.gather(weights, entries)  # [entries]
    return tf.tensor_scatter_nd_add(scores, index, values)
