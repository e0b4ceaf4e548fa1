"""The targets of a step as each other's negatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.sampling.negative_sampler import Draw, log_shares


class InBatchSampler:
    """Gives the targets of the step, taken for draws with probability proportional to the training counts.

    Args:
        counts: Number of training events per index, `[vocab_size]`.

    Raises:
        DataError: No item has a positive count.

    Reference: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019.
    Differences: exact counts of the training split in place of a streaming estimate.
    """

    def __init__(self, counts: NDArray[Any]) -> None:
        counts = np.asarray(counts, np.float64)
        if not (counts > 0).any():
            raise DataError("No item has a positive count, so no negatives can be drawn.")
        self._log_probabilities = tf.constant(log_shares(counts), tf.float32)  # [vocab]

    def draw(self, shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor, targets: tf.Tensor) -> Draw:
        """See `NegativeSampler.draw`; the ids are the targets, whatever the shape and the seed."""
        del shape, seed
        return targets, self.log_probability(targets, targets)

    def log_probability(self, ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `NegativeSampler.log_probability`."""
        del targets
        return tf.gather(self._log_probabilities, ids)
