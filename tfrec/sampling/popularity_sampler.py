"""Negatives drawn with probability proportional to support^alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.sampling.alias_table import alias_table
from tfrec.sampling.negative_sampler import Draw, log_shares


class PopularitySampler:
    """Draws item ids with P(item) proportional to `count ** alpha`; alpha 1 is popularity, alpha 0 uniform.

    Ids are drawn inside the graph from a seed, in constant time each, so that no store of samples has to be kept,
    shuffled or restored. A drawn id may equal a target and may repeat, as in GRU4Rec.

    Args:
        counts: Number of training events per index, `[vocab_size]`; 0 for the reserved indices.
        alpha: Exponent.

    Raises:
        DataError: No item has a positive count.

    Reference: GRU4Rec parameters `n_sample` and `sample_alpha`.
    Differences: the reference searches cumulative sums and fills a store of 10,000,000 ids ahead of time; the
        distribution is the same.
    """

    def __init__(self, counts: NDArray[Any], alpha: float) -> None:
        counts = np.asarray(counts, np.float64)
        items = np.flatnonzero(counts > 0)
        if not len(items):
            raise DataError("No item has a positive count, so no negatives can be drawn.")
        keep, alias = alias_table(np.power(counts[items], alpha))
        self._num_items = len(items)
        self._keep = tf.constant(keep, tf.float32)  # [items]
        self._choices = tf.constant(np.stack([items, items[alias]], axis=1), tf.int32)  # [items, 2]: kept, alias
        self._log_weights = tf.constant(np.where(counts > 0, alpha * np.log(np.maximum(counts, 1.0)), 0.0), tf.float32)
        weights = np.where(counts > 0, np.power(counts, alpha), 0.0)
        self._log_probabilities = tf.constant(log_shares(weights), tf.float32)  # [vocab]

    def sample(self, shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
        """Draws ids.

        Args:
            shape: Shape of the result.
            seed: int `[2]`; the same seed draws the same ids.

        Returns:
            int32 of the given shape.
        """
        element = tf.random.stateless_uniform(shape, seed, maxval=self._num_items, dtype=tf.int32)
        kept = tf.random.stateless_uniform(shape, seed + tf.constant([0, 1 << 30], seed.dtype))
        replaced = tf.cast(kept >= tf.gather(self._keep, element), tf.int32)
        return tf.gather_nd(self._choices, tf.stack([element, replaced], axis=-1))

    def draw(self, shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor, targets: tf.Tensor) -> Draw:
        """See `NegativeSampler.draw`; the targets have no influence."""
        ids = self.sample(shape, seed)
        return ids, self.log_probability(ids, targets)

    def log_probability(self, ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `NegativeSampler.log_probability`."""
        del targets
        return tf.gather(self._log_probabilities, ids)

    def log_weight(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns `alpha log(count)`, the log sampling weight up to a constant: int `[...]` -> float `[...]`."""
        return tf.gather(self._log_weights, ids)
