"""Approximate search with ScaNN, outside of TF Serving."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX, PADDING_INDEX
from tfrec.errors import ConfigError
from tfrec.serving.index.candidate_lists import MISSING_SCORE, best_allowed
from tfrec.serving.index.item_vectors import checked_bias, checked_vectors
from tfrec.serving.index.vector_index import VectorIndex

_EXACT_BELOW = 1000  # items of a catalogue too small for clusters
_RESCORED = 10  # candidates per wanted item that are scored exactly


class ScannIndex(VectorIndex):
    """Takes candidates from ScaNN, by products with compressed vectors, and scores ten times k of them exactly.

    ScaNN is an operation of its own: a SavedModel that holds one cannot be loaded by stock TF Serving, nor by a process
    that has not imported `scann`. Use it in a process of your own; `ExactIndex` and `IVFIndex` can be served.

    A bias is one more dimension of the vectors, for which every query has the value 1.

    Args:
        vectors: float32 `[n, dim]`; row r belongs to item index `first_index` + r. Indices 0 and 1 are reserved:
            such rows can be looked up and are never returned.
        bias: float32 `[n]`, added to the scores. Default: none.
        first_index: Item index of the first row: 0, 1 or 2. Default: 0.
        num_leaves: Clusters of items. Default: the square root of the number of items; catalogues of less than 1,000
            items have none.
        num_probes: Clusters visited per query. Default: 8.
        name: Name of the module.

    Raises:
        ConfigError: `scann` is not installed, or the vectors cannot be indexed.

    Reference:
        Guo et al., "Accelerating Large-Scale Inference with Anisotropic Vector Quantization", ICML 2020.
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float32] | tf.Tensor,
        bias: npt.NDArray[np.float32] | tf.Tensor | None = None,
        *,
        first_index: int = 0,
        num_leaves: int | None = None,
        num_probes: int = 8,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        vectors = checked_vectors(vectors, first_index)
        self.num_items, self.dim = len(vectors) - (FIRST_INDEX - first_index), vectors.shape[1]
        self.first_index = first_index
        self._vectors = tf.Variable(vectors, trainable=False, name="vectors")
        points = vectors[FIRST_INDEX - first_index :]
        self._bias = None
        if bias is not None:
            biases = checked_bias(bias, len(vectors))
            self._bias = tf.Variable(biases, trainable=False, name="bias")
            points = np.column_stack([points, biases[FIRST_INDEX - first_index :]])
        self._searcher = _searcher(points, num_leaves, num_probes)

    def vectors_of(self, indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._vectors, indices - self.first_index)

    def bias_of(self, indices: tf.Tensor) -> tf.Tensor:
        if self._bias is None:
            return tf.zeros(tf.shape(indices))
        return tf.gather(self._bias, indices - self.first_index)

    def _nearest(self, queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        seen = queries if self._bias is None else tf.pad(queries, [[0, 0], [0, 1]], constant_values=1.0)
        candidates = tf.maximum(1, tf.minimum(k * _RESCORED, self.num_items))
        # Before it has enough, ScaNN fills the row with scores that are not a number.
        places, found = self._searcher.search_batched(seen, candidates)
        valid = tf.math.is_finite(found)
        items = tf.sort(tf.where(valid, tf.cast(places, tf.int32) + FIRST_INDEX, PADDING_INDEX), axis=1)
        looked_up = tf.maximum(items, FIRST_INDEX)
        scores = tf.linalg.matvec(self.vectors_of(looked_up), queries) + self.bias_of(looked_up)
        return best_allowed(tf.where(items >= FIRST_INDEX, scores, MISSING_SCORE), items, None, k)


def _searcher(points: npt.NDArray[np.float32], num_leaves: int | None, num_probes: int) -> Any:
    try:
        scann_ops = importlib.import_module("scann").scann_ops
    except (ImportError, AttributeError, tf.errors.NotFoundError) as error:
        raise ConfigError(
            f"The index `scann` needs the package `scann`, which cannot be imported ({error}).",
            remedy="Install tfrec[scann] (Python 3.10), or use the index `exact` or `ivf`.",
        ) from error
    builder = scann_ops.builder(points, 10, "dot_product")
    if len(points) < _EXACT_BELOW:
        return builder.score_brute_force().build()
    leaves = num_leaves or round(len(points) ** 0.5)
    builder = builder.tree(leaves, min(num_probes, leaves), training_sample_size=min(len(points), 250_000))
    return builder.score_ah(2, anisotropic_quantization_threshold=0.2).build()
