"""Negatives drawn uniformly from all items."""

from __future__ import annotations

import math

import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.errors import DataError
from tfrec.sampling.negative_sampler import Draw


class UniformSampler:
    """Draws each item with the same probability, whether or not it occurs in the training split.

    Args:
        vocab_size: Number of indices, including the reserved ones, which are never drawn.

    Raises:
        DataError: There is no item.
    """

    def __init__(self, vocab_size: int) -> None:
        if vocab_size <= FIRST_INDEX:
            raise DataError(f"The vocabulary of {vocab_size} indices has no item, so no negatives can be drawn.")
        self._vocab_size = vocab_size

    def draw(self, shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor, targets: tf.Tensor) -> Draw:
        """See `NegativeSampler.draw`; the targets have no influence."""
        ids = tf.random.stateless_uniform(shape, seed, minval=FIRST_INDEX, maxval=self._vocab_size, dtype=tf.int32)
        return ids, self.log_probability(ids, targets)

    def log_probability(self, ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `NegativeSampler.log_probability`."""
        del targets
        return tf.fill(tf.shape(ids), -math.log(self._vocab_size - FIRST_INDEX))
