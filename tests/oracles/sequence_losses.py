"""Losses over sampled negatives, written out target by target in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Negative:
    """One draw: its item, how often that item is expected among the draws, and whether it counts."""

    item: int
    expected_count: float = 1.0
    valid: bool = True


def softplus(value: float) -> float:
    return float(np.logaddexp(0.0, value))


def target_loss(
    loss: str,
    positive: float,
    negatives: Sequence[tuple[float, Negative]],
    *,
    logq: str = "none",
    inclusion: float = 1.0,
    smoothing: float = 0.0,
    power: float = 1.0,
    regularization: float = 1.0,
    margin: float = 0.0,
    temperature: float = 1.0,
    infonce_share: float = 1.0,
) -> float:
    """Loss of one target from its score and those of its draws.

    Args:
        loss: Name as in the configuration.
        positive: Score of the target.
        negatives: Score and draw; the invalid ones are left out here.
        logq: Correction.
        inclusion: Probability that the target is among the draws.
        smoothing: Label smoothing.
        power: gBCE's power of the positive probability.
        regularization: Score regularisation of BPR-max.
        margin: Of triplet.
        temperature: What scores were divided by.
        infonce_share: Share of the softmax in infonce-triplet.
    """
    drawn = [(score, negative) for score, negative in negatives if negative.valid]
    scores = np.array([score for score, _ in drawn])
    if not drawn:
        return power * softplus(-positive) if loss in ("bce", "gbce") else 0.0
    match loss:
        case "bce" | "gbce":
            terms = [power * softplus(-positive)] + [softplus(score) for score in scores]
            return float(np.mean(terms))
        case "bpr":
            return float(np.mean([softplus(score - positive) for score in scores]))
        case "bpr-max":
            softmax = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
            chance = float((softmax / (1.0 + np.exp(scores - positive))).sum())
            return float(-np.log(chance) + regularization * (softmax * scores**2).sum())
    apart = np.mean(np.maximum(0.0, margin - temperature * (positive - scores)))
    if loss == "triplet":
        return float(apart)
    if logq != "none":
        scores = scores - np.log([negative.expected_count for _, negative in drawn])
    if logq == "standard":
        positive -= float(np.log(inclusion))
    logits = np.concatenate([[positive], scores])
    log_probability = logits - np.logaddexp.reduce(logits)
    softmax_loss = -(1.0 - smoothing) * log_probability[0] - smoothing * log_probability[1:].mean()
    if loss == "infonce-triplet":
        return float(infonce_share * softmax_loss + (1.0 - infonce_share) * apart)
    return float(softmax_loss)
