"""Negatives drawn with probability proportional to support^alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import DataError


class PopularitySampler:
    """Draws item ids with P(item) proportional to `count ** alpha`; alpha 1 is popularity, alpha 0 uniform.

    Ids are drawn inside the graph from a seed, so that no store of samples has to be kept, shuffled or restored. A
    drawn id may equal a target and may repeat, as in GRU4Rec.

    Args:
        counts: Number of training events per index, `[vocab_size]`; 0 for the reserved indices.
        alpha: Exponent.

    Raises:
        DataError: No item has a positive count.

    Reference: GRU4Rec parameters `n_sample` and `sample_alpha`.
    Differences: the reference fills a store of 10,000,000 ids ahead of time; the distribution is the same.
    """

    def __init__(self, counts: NDArray[Any], alpha: float) -> None:
        counts = np.asarray(counts, np.float64)
        if not (counts > 0).any():
            raise DataError("No item has a positive count, so no negatives can be drawn.")
        weights = np.where(counts > 0, np.power(np.maximum(counts, 1.0), alpha), 0.0)
        cumulative = np.cumsum(weights) / weights.sum()
        last = int(np.flatnonzero(counts > 0)[-1])
        cumulative[last:] = 1.0
        self.cumulative = cumulative  # [vocab], float64
        self.log_weights = np.where(counts > 0, alpha * np.log(np.maximum(counts, 1.0)), 0.0).astype(np.float32)
        self._first, self._last = int(np.flatnonzero(counts > 0)[0]), last
        # Searching a float32 copy would give rare items of a large catalogue the wrong share.
        self._cumulative = tf.constant(cumulative, tf.float64)
        self._log_weights = tf.constant(self.log_weights)

    def sample(self, shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
        """Draws ids.

        Args:
            shape: Shape of the result.
            seed: int `[2]`; the same seed draws the same ids.

        Returns:
            int32 of the given shape.
        """
        draws = tf.random.stateless_uniform(tf.reshape(tf.reduce_prod(shape), [1]), seed, dtype=tf.float64)
        ids = tf.searchsorted(self._cumulative, draws, side="right")
        return tf.reshape(tf.clip_by_value(ids, self._first, self._last), shape)

    def log_weight(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns `alpha log(count)`, the log sampling weight up to a constant: int `[...]` -> float `[...]`."""
        return tf.gather(self._log_weights, ids)
