"""Softmax over a target and sampled negatives, with and without the logQ correction."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from tfrec.losses.sampled_scores import SampledScores
from tfrec.losses.weighting import log_weights

LogQ = Literal["none", "standard", "refined"]


def corrected_targets(
    target_scores: tf.Tensor, log_probability: tf.Tensor, num_draws: tf.Tensor, logq: LogQ
) -> tf.Tensor:
    """Scores of the targets as they enter the softmax, whose negatives are corrected by their expected counts.

    Full softmax has the gradient `-grad s_p + (e^s_p grad s_p + sum_{j != p} e^s_j grad s_j) / (e^s_p + Z)` for the
    positive p, with `Z = sum_{j != p} e^s_j`. A sample of n draws from q estimates Z without bias by the sum of
    `e^s_j / (n q_j)` over the draws other than p: n q_j is how often j is expected, and its logarithm is subtracted
    from the score of the negative. The positive is not drawn but always there, once, so nothing is subtracted from its
    score: that is the refined correction. The standard one treats the positive as drawn too, and subtracts the
    logarithm of the probability 1 - (1 - q_p)^n that it is among the draws; this inflates rare positives and so
    shrinks the gradient where there is most to learn.

    The refined correction is published as the loss `-w log(e^s_p / sum_j e^(s_j - log Q'_j))`, where the sum leaves
    out the positive, `Q' = q / (1 - q_p)`, and the constant w estimates `1 - P(p)` from the same draws. With Z' the
    estimate of Z, w is Z' / (e^s_p + Z') and the gradient w (-grad s_p + sum_j (e^s_j / n Q'_j) grad s_j / Z'), which
    is the gradient of `log(e^s_p + Z') - s_p`: the same, and a loss that estimates that of full softmax.

    Args:
        target_scores: `s_p`, float `[targets]`.
        log_probability: `log q_p` of each target, float `[targets]`.
        num_draws: `n`, float scalar.
        logq: Correction.

    Returns:
        float `[targets]`.

    Reference: Jean et al., arXiv 1412.2007, and TensorFlow's `sampled_softmax_loss` (standard); Khrylchenko et al.,
        arXiv 2507.09331 (refined).
    Differences: standard subtracts the probability of being among the draws, as TensorFlow's distinct samplers do, not
        that of a single draw: both are the same where n q is small, but only the former goes over into full softmax
        as n grows when draws of the positive are masked. Refined divides by n q_j over all draws instead of by Q'_j
        over the draws that are not the positive; both estimates of Z are without bias.
    """
    if logq != "standard":
        return target_scores
    missed = num_draws * tf.math.log1p(-tf.minimum(tf.exp(log_probability), 0.9999999))  # log (1 - q_p)^n, [targets]
    return target_scores - tf.math.log(-tf.math.expm1(missed))


def sampled_softmax(scores: SampledScores, log_counts: tf.Tensor | None, *, label_smoothing: float = 0.0) -> tf.Tensor:
    """Cross-entropy of each target among itself and its negatives.

    Args:
        scores: Scores of targets (see `corrected_targets`) and negatives.
        log_counts: Logarithm of how often each negative is expected among the draws, broadcast to `[targets,
            negatives]`; subtracted from its score. None: no correction.
        label_smoothing: Share `e` of the true distribution that is spread evenly over the negatives.

    Returns:
        Loss per target, float32 `[targets]`.

    Reference: Differences of `corrected_targets`; with cosines over a temperature as scores this is InfoNCE (arXiv
        1807.03748).
    """
    negatives = scores.negatives if log_counts is None else scores.negatives - log_counts  # [targets, negatives]
    log_normalizer = tf.reduce_logsumexp(negatives + log_weights(scores.weights), axis=1)  # [targets]
    loss = target_against(log_normalizer, scores.targets)
    if label_smoothing == 0.0:
        return loss
    # -(1 - e) log p_target - e mean_j log p_j, with log p = score - log(e^target + sum_j e^negative_j)
    there = tf.cast(tf.reduce_any(scores.weights > 0, axis=1), tf.float32)  # [targets]
    return loss + label_smoothing * there * (scores.targets - scores.mean_over_negatives(negatives))


def target_against(log_normalizer: tf.Tensor, target_scores: tf.Tensor) -> tf.Tensor:
    """Returns `-log(e^target / (e^target + e^log_normalizer))`, all `[targets]`."""
    return tf.nn.softplus(log_normalizer - target_scores)
