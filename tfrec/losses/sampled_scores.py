"""Scores of each target and of its negatives, which losses over sampled negatives are made of."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class SampledScores(NamedTuple):
    """Scores of one step.

    Attributes:
        targets: Score of each target, float32 `[targets]`.
        negatives: Scores of its negatives, float32 `[targets, negatives]`.
        weights: How often each negative was drawn for the target, 0 for one that is masked, float32 `[targets,
            negatives]`.
    """

    targets: tf.Tensor
    negatives: tf.Tensor
    weights: tf.Tensor

    def mean_over_negatives(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the mean over the negatives of each target, 0 where it has none.

        Args:
            values: One per negative, float `[targets, negatives]`.

        Returns:
            float `[targets]`.
        """
        return tf.math.divide_no_nan(tf.reduce_sum(self.weights * values, axis=1), tf.reduce_sum(self.weights, axis=1))
