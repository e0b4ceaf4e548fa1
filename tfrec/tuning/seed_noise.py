"""Whether one configuration beats another by more than the luck of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from tfrec.tuning.objective import Objective

_CONFIDENCE = 0.95


def compare_seeds(winner: Sequence[float], default: Sequence[float], objective: Objective) -> dict[str, Any]:
    """Compares the scores of two configurations over seeds, by Welch's t-interval.

    Args:
        winner: Score per seed.
        default: Score per seed of the configuration it is compared with.
        objective: Decides which difference is a gain.

    Returns:
        `winner` and `default` (`mean`, `deviation` or None for a single seed, `scores`), `gain` (positive is better),
        `low` and `high` of its 95 % interval (None where noise is unknown) and `verdict`: `gain`, `loss`, `noise` (the
        interval holds 0) or `unknown` (one seed, or equal scores of all seeds, say nothing of noise: `low` and `high`
        are None).

    Example:
        Scores .30 .31 .32 against .20 .21 .22: gain .1, standard error sqrt(2 * .01^2 / 3), 4 degrees of freedom.

    Reference: Welch, "The generalization of Student's problem", Biometrika 1947.
    """
    ours, others = np.asarray(winner, np.float64), np.asarray(default, np.float64)
    sign = 1.0 if objective.direction == "max" else -1.0
    gain = sign * float(ours.mean() - others.mean())
    low = high = None
    if min(ours.size, others.size) > 1:
        parts = [float(scores.var(ddof=1)) / scores.size for scores in (ours, others)]
        error = math.sqrt(sum(parts))
        if error > 0:
            freedom = sum(parts) ** 2 / sum(
                part**2 / (scores.size - 1) for part, scores in zip(parts, (ours, others), strict=True)
            )
            reach = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, freedom)) * error
            low, high = gain - reach, gain + reach
    verdict = "unknown"
    if low is not None and high is not None:
        verdict = "gain" if low > 0 else "loss" if high < 0 else "noise"
    return {
        "winner": _summary(ours),
        "default": _summary(others),
        "gain": gain,
        "low": low,
        "high": high,
        "confidence": _CONFIDENCE,
        "verdict": verdict,
    }


def _summary(scores: Any) -> dict[str, Any]:
    return {
        "scores": [float(score) for score in scores],
        "mean": float(scores.mean()),
        "deviation": float(scores.std(ddof=1)) if scores.size > 1 else None,
    }
