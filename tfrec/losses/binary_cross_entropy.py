"""Binary cross-entropy of a target against sampled negatives, plain and generalised."""

from __future__ import annotations

import tensorflow as tf

from tfrec.losses.sampled_scores import SampledScores


def binary_cross_entropy(scores: SampledScores, *, target_power: float = 1.0) -> tf.Tensor:
    """Mean over a target and its negatives of `-power log sigmoid(target)` and `-log(1 - sigmoid(negative))`.

    Args:
        scores: Scores of targets and negatives.
        target_power: Power `beta` of the target's probability: 1 for plain cross-entropy, see `gbce_power`.

    Returns:
        Loss per target, float32 `[targets]`.

    Reference: SASRec (arXiv 1808.09781), section 3.5; gSASRec (arXiv 2308.07192).
    Differences: SASRec's published code adds the two means over targets and negatives, which with one negative is
        twice this loss.
    """
    negatives = tf.reduce_sum(scores.weights * tf.nn.softplus(scores.negatives), axis=1)  # [targets]
    total = target_power * tf.nn.softplus(-scores.targets) + negatives
    return total / (1.0 + tf.reduce_sum(scores.weights, axis=1))


def gbce_power(num_negatives: int, num_items: int, calibration: float) -> float:
    """Returns gSASRec's power `beta = a (t (1 - 1/a) + 1/a)` with the sampling rate `a = negatives / (items - 1)`.

    Args:
        num_negatives: Uniform negatives per target.
        num_items: Items that can be drawn, including the target.
        calibration: `t` in [0, 1]: 0 gives 1, plain cross-entropy; 1 gives `a`, whose optimum has the probabilities
            that cross-entropy over all items would have.

    Example:
        >>> gbce_power(1, 5, 0.5)  # a = 1/4: 1 - 0.5 * (1 - 1/4)
        0.625

    Reference: arXiv 2308.07192, section 5.
    """
    rate = min(num_negatives / max(num_items - 1, 1), 1.0)
    return 1.0 - calibration * (1.0 - rate)
