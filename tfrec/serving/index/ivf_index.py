"""Approximate search: the items of the clusters that look best for the query."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX, PADDING_INDEX
from tfrec.errors import ConfigError
from tfrec.serving.index.candidate_lists import MISSING_SCORE
from tfrec.serving.index.item_vectors import checked_bias, checked_vectors
from tfrec.serving.index.kmeans import kmeans, nearest_centres
from tfrec.serving.index.vector_index import VectorIndex

_PARALLEL_QUERIES = 8
_DEVIATIONS = 2.0


class IVFIndex(VectorIndex):
    """Scores the items of a few clusters per query (an inverted file).

    k-means puts the items into clusters, and a query visits the clusters that promise the largest scores. The items of
    a cluster stand next to each other, so that a visit reads one piece of memory. Scores of the items visited are
    exact, and so is their order; items of other clusters are missed. How many depends on the vectors: few when they
    form groups, most when they are spread at random. More probes miss fewer. When the clusters of a visit hold fewer
    items than are asked for, the query goes on with the next ones until they are enough: lists are never short.

    The score of a cluster's centre is the mean score of its items, but the best of them is what counts: a cluster
    promises its mean plus two standard deviations of its scores (taken from the distances of its items from the
    centre). That finds wide clusters which a comparison of centres passes over, above all where lengths or biases
    of the items differ.

    A bias is one more dimension of the vectors, for which every query has the value 1. So clusters gather items of
    similar bias too, and their means and deviations include it; otherwise popular items would be scattered over
    clusters that are chosen without regard to what makes them score well. Clusters are made by Euclidean distance:
    items that are near each other have similar scores whatever the query, so no transformation of inner products into
    distances is needed.

    Args:
        vectors: float32 `[n, dim]`; row r belongs to item index `first_index` + r. Indices 0 and 1 are reserved:
            such rows can be looked up and are never returned.
        bias: float32 `[n]`, added to the scores. Default: none.
        first_index: Item index of the first row: 0, 1 or 2. Default: 0.
        num_clusters: Default: the square root of the number of items.
        num_probes: Clusters visited per query. Default: 8, which for a million items visits one item in 125.
        iterations: Rounds of k-means. Default: 10.
        sample_per_cluster: Items per cluster that k-means learns from, drawn at random. Default: 64.
        seed: Fixes the clusters. Default: 0.
        name: Name of the module.

    Attributes:
        num_clusters: Clusters.
        num_probes: Clusters visited per query.

    Raises:
        ConfigError: Shapes that do not fit, values that are not finite, or more clusters than items.

    Reference:
        Sivic and Zisserman, "Video Google", ICCV 2003; Johnson, Douze and Jegou, "Billion-scale similarity search with
        GPUs", IEEE Transactions on Big Data 7 (2021).
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float32] | tf.Tensor,
        bias: npt.NDArray[np.float32] | tf.Tensor | None = None,
        *,
        first_index: int = 0,
        num_clusters: int | None = None,
        num_probes: int = 8,
        iterations: int = 10,
        sample_per_cluster: int = 64,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        vectors = checked_vectors(vectors, first_index)
        biases = None if bias is None else checked_bias(bias, len(vectors))
        skipped = FIRST_INDEX - first_index
        self.dim = vectors.shape[1]
        self.num_items = len(vectors) - skipped
        self.first_index = first_index
        self.num_clusters = num_clusters or self.default_clusters(self.num_items)
        if not 1 <= self.num_clusters <= self.num_items:
            raise ConfigError(
                f"`num_clusters` is {self.num_clusters}.", remedy=f"Expected 1 to the {self.num_items} items."
            )
        if num_probes < 1:
            raise ConfigError(f"`num_probes` is {num_probes}.", remedy="Expected at least 1.")
        self.num_probes = min(num_probes, self.num_clusters)
        # [items, dim + 1]
        points = vectors[skipped:] if biases is None else np.column_stack([vectors[skipped:], biases[skipped:]])
        centres = _learn(points, self.num_clusters, iterations, sample_per_cluster, seed)
        cluster, distances = nearest_centres(points, centres)
        # Rows of the reserved indices come last, where no cluster reaches.
        rows = np.concatenate([np.argsort(cluster, kind="stable") + skipped, np.arange(skipped)])
        sizes = np.bincount(cluster, minlength=self.num_clusters)
        # By how much scores of a cluster vary for a query of length 1, were it the same in all directions.
        squares = np.bincount(cluster, np.maximum(distances, 0.0), self.num_clusters)
        deviation = np.sqrt(squares / np.maximum(sizes, 1) / points.shape[1]).astype(np.float32)
        self._vectors = _variable(vectors[rows], "vectors")
        self._bias = None if biases is None else _variable(biases[rows], "bias")
        self._clusters = _variable(np.column_stack([centres, _DEVIATIONS * deviation]), "clusters")
        self._bounds = _variable(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32), "bounds")
        self._items = _variable((rows + first_index).astype(np.int32), "items")
        self._rows = _variable(np.argsort(rows).astype(np.int32), "rows")

    @staticmethod
    def default_clusters(num_items: int) -> int:
        """Returns the square root of the number of items."""
        return round(math.sqrt(num_items))

    def vectors_of(self, indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._vectors, tf.gather(self._rows, indices - self.first_index))

    def bias_of(self, indices: tf.Tensor) -> tf.Tensor:
        if self._bias is None:
            return tf.zeros(tf.shape(indices))
        return tf.gather(self._bias, tf.gather(self._rows, indices - self.first_index))

    def _nearest(self, queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.shape(queries)[0]
        # tf.map_fn cannot tell the width of its result when there are no queries.
        queries = tf.pad(queries, [[0, tf.maximum(1 - batch, 0)], [0, 0]])
        seen = queries if self._bias is None else tf.pad(queries, [[0, 0], [0, 1]], constant_values=1.0)
        lengths = tf.norm(seen, axis=1, keepdims=True)
        promise = tf.matmul(tf.concat([seen, lengths], axis=1), self._clusters, transpose_b=True)  # [batch, clusters]
        _, probes = tf.math.top_k(promise, self.num_probes)

        def one() -> tuple[tf.Tensor, tf.Tensor]:
            scores, items = self._nearest_of_query(queries[0], probes[0], lambda: promise[0], k)
            return scores[tf.newaxis], items[tf.newaxis]

        def many() -> tuple[tf.Tensor, tf.Tensor]:
            scores, items = tf.map_fn(
                lambda row: self._nearest_of_query(row[0], row[1], lambda: row[2], k),
                (queries, probes, promise),
                parallel_iterations=_PARALLEL_QUERIES,
                fn_output_signature=(tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.int32)),
            )
            return scores, items

        # A loop of one round costs a tenth of the search.
        scores, items = tf.cond(batch <= 1, one, many)
        return scores[:batch], items[:batch]

    def _nearest_of_query(
        self, query: tf.Tensor, probes: tf.Tensor, promise: Callable[[], tf.Tensor], k: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns scores and item indices of the best among some clusters, `[k]`; -inf and 0 where there are fewer."""
        rows = self._rows_of(probes)  # [visited]
        rows = tf.cond(tf.size(rows) < k, lambda: self._rows_of(self._enough_clusters(promise(), k)), lambda: rows)
        scores = tf.linalg.matvec(tf.gather(self._vectors, rows), query)
        if self._bias is not None:
            scores += tf.gather(self._bias, rows)
        return _best_in_item_order(scores, tf.gather(self._items, rows), k)

    def _rows_of(self, clusters: tf.Tensor) -> tf.Tensor:
        starts, stops = tf.gather(self._bounds, clusters), tf.gather(self._bounds, clusters + 1)
        return tf.ragged.range(starts, stops).flat_values

    def _enough_clusters(self, promise: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        """Returns the most promising clusters that hold k items together, int32 `[any]`; all when they do not."""
        _, order = tf.math.top_k(promise, self.num_clusters)
        sizes = tf.gather(self._bounds, order + 1) - tf.gather(self._bounds, order)
        before = tf.cumsum(sizes, exclusive=True)  # items in better clusters
        return order[: tf.math.count_nonzero(before < k, dtype=tf.int32)]


def _best_in_item_order(scores: tf.Tensor, items: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the k best of candidates in any order; of equal scores the smaller item index comes first."""
    missing = tf.maximum(k - tf.size(scores), 0)
    scores = tf.pad(scores, [[0, missing]], constant_values=MISSING_SCORE)
    items = tf.pad(items, [[0, missing]], constant_values=PADDING_INDEX)
    best, places = tf.math.top_k(scores, k)
    last = best[-1:]  # the worst score that is still returned; empty for k = 0

    def level_is_shared() -> tuple[tf.Tensor, tf.Tensor]:
        # Those above the last are all among the places; of those equal to it, the smallest item indices are wanted.
        equal = tf.reduce_any(tf.equal(scores[:, tf.newaxis], last), axis=1)
        _, level = tf.math.top_k(tf.where(equal, -items, tf.int32.min), k)
        above = tf.reduce_any(best[:, tf.newaxis] > last, axis=1)
        own, shared = tf.where(above, best, MISSING_SCORE), tf.gather(scores, level)
        return (
            tf.concat([own, tf.where(tf.gather(equal, level), shared, MISSING_SCORE)], axis=0),
            tf.concat([tf.gather(items, places), tf.gather(items, level)], axis=0),
        )

    reached = tf.math.count_nonzero(scores[:, tf.newaxis] >= last, dtype=tf.int32)
    chosen_scores, chosen_items = tf.cond(reached > k, level_is_shared, lambda: (best, tf.gather(items, places)))
    order = tf.argsort(chosen_items, stable=True)
    best, places = tf.math.top_k(tf.gather(chosen_scores, order), k)
    return best, tf.gather(tf.gather(chosen_items, order), places)


def _learn(
    points: npt.NDArray[np.float32], num_clusters: int, iterations: int, sample_per_cluster: int, seed: int
) -> npt.NDArray[np.float32]:
    wanted = num_clusters * sample_per_cluster
    if wanted < len(points):
        drawn = np.random.default_rng(seed).choice(len(points), wanted, replace=False)
        points = points[np.sort(drawn)]
    return kmeans(points, num_clusters, iterations=iterations, seed=seed)


def _variable(value: npt.NDArray[np.generic], name: str) -> tf.Variable:
    return tf.Variable(value, trainable=False, name=name)
