"""The targets of a step and further draws from the catalogue."""

from __future__ import annotations

import tensorflow as tf

from tfrec.sampling.in_batch_sampler import InBatchSampler
from tfrec.sampling.negative_sampler import Draw, NegativeSampler


class MixedSampler:
    """Joins in-batch negatives with draws of another sampler, so that items which are rarely targets are met as well.

    Args:
        in_batch: Sampler of the first part.
        further: Sampler of the second part.
        num_further: Number of its draws in a step.

    Reference: Yang et al., "Mixed negative sampling for learning two-tower neural networks", WWW 2020.
    Differences: each id is weighed by the mixture of both distributions, whichever part it comes from (the balance
        heuristic of multiple importance sampling), so that a rare item that happens to be a target is not given the
        enormous weight of its in-batch probability alone.
    """

    def __init__(self, in_batch: InBatchSampler, further: NegativeSampler, num_further: int) -> None:
        self._in_batch = in_batch
        self._further = further
        self._num_further = num_further

    def draw(self, shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor, targets: tf.Tensor) -> Draw:
        """See `NegativeSampler.draw`: the targets, followed by the further draws; `shape` is not looked at."""
        del shape
        further, _ = self._further.draw((self._num_further,), seed, targets)
        ids = tf.concat([targets, further], axis=0)  # [targets + further]
        return ids, self.log_probability(ids, targets)

    def log_probability(self, ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `NegativeSampler.log_probability`; a target has one draw less among the other targets than there are."""
        others = tf.cast(tf.maximum(tf.size(targets) - 1, 0), tf.float32)
        further = float(self._num_further)
        in_batch = others * tf.exp(self._in_batch.log_probability(ids, targets))
        return tf.math.log(
            (in_batch + further * tf.exp(self._further.log_probability(ids, targets))) / (others + further)
        )
