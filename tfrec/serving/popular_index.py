"""Search among fixed scores, the same for everybody."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.index.vector_index import VectorIndex


class PopularIndex(VectorIndex):
    """An index whose best items are known beforehand, so that a search costs as much as its result is long.

    Queries are float32 `[batch, 1]` and have to be 1.

    Args:
        scores: Score of every item index, float32 `[n]`; indices 0 and 1 are never returned.
        name: Name of the module.

    Example:
        >>> index = PopularIndex(np.array([0, 0, 0.2, 0.5, 0.3], np.float32))
        >>> index.search(tf.ones([1, 1]), 2)[1].numpy().tolist()
        [[3, 4]]
    """

    def __init__(self, scores: NDArray[np.float32], name: str | None = None) -> None:
        super().__init__(name=name)
        self.dim = 1
        self.num_items = len(scores) - FIRST_INDEX
        order = np.argsort(-scores[FIRST_INDEX:], kind="stable") + FIRST_INDEX  # [items]
        self._scores = tf.Variable(scores, trainable=False, name="scores")
        self._order = tf.Variable(order.astype(np.int32), trainable=False, name="order")

    def vectors_of(self, indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._scores, indices)[..., tf.newaxis]

    def bias_of(self, indices: tf.Tensor) -> tf.Tensor:
        return tf.zeros(tf.shape(indices))

    def _nearest(self, queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        best = self._order[:k]
        repeat = [tf.shape(queries)[0], 1]
        return tf.tile(tf.gather(self._scores, best)[tf.newaxis], repeat), tf.tile(best[tf.newaxis], repeat)
