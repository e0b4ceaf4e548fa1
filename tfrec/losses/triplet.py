"""Margin between a target and its negatives."""

from __future__ import annotations

import tensorflow as tf

from tfrec.losses.sampled_scores import SampledScores


def triplet(scores: SampledScores, margin: float) -> tf.Tensor:
    """Mean over the negatives of `max(0, margin - target + negative)`; 0 where a target has no negative.

    Args:
        scores: Scores of targets and negatives, in units of the margin.
        margin: How far the target should be above every negative.

    Returns:
        Loss per target, float32 `[targets]`.

    Reference: Schroff et al., "FaceNet", CVPR 2015, section 3.1.
    Differences: all negatives of a target count alike; similarities in place of distances.
    """
    return scores.mean_over_negatives(tf.nn.relu(margin - scores.targets[:, tf.newaxis] + scores.negatives))
