"""How far a difference between two models could be luck: paired bootstrap over the same targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError
from tfrec.evaluation.ranking_metrics import gains

# Resampled indices that are held at a time.
_BLOCK_DRAWS = 5_000_000


@dataclass(frozen=True)
class BootstrapInterval:
    """A value with its bootstrap interval.

    Args:
        metric: For example `recall@20`.
        value: The metric, or the difference of two, on all targets.
        low: Lower end of the percentile interval.
        high: Upper end.
        confidence: Probability the interval is meant to cover, for example 0.95.
    """

    metric: str
    value: float
    low: float
    high: float
    confidence: float

    @property
    def excludes_zero(self) -> bool:
        """True when zero, no difference, lies outside the interval."""
        return self.low > 0 or self.high < 0


def bootstrap_metric(
    ranks: NDArray[np.float64],
    metric: str,
    *,
    groups: NDArray[Any] | None = None,
    samples: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> BootstrapInterval:
    """Interval of one model's metric.

    Args:
        ranks: `RankingResult.ranks`, `[targets]`.
        metric: `recall@20`, `mrr@10`, ...
        groups: Sequence (or user) of every target, `[targets]`; whole groups are drawn then, because the targets of one
            session are not independent. Default: every target for itself.
        samples: Number of resamples. Default: 2,000.
        confidence: Default: 0.95.
        seed: The same seed gives the same interval.

    Returns:
        The interval.

    Raises:
        ConfigError: The metric is unknown, or an argument is outside its domain.
    """
    return _interval(_gains(ranks, metric), metric, groups, samples, confidence, seed)


def paired_bootstrap(
    ranks: NDArray[np.float64],
    other_ranks: NDArray[np.float64],
    metric: str,
    *,
    groups: NDArray[Any] | None = None,
    samples: int = 2_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> BootstrapInterval:
    """Interval of the difference between two models, both measured on the same targets in the same order.

    Each resample draws targets once and takes them for both models, so that easy and hard targets cancel out.

    Args:
        ranks: Ranks of the first model, `[targets]`.
        other_ranks: Ranks of the second one, `[targets]`.
        metric: `recall@20`, `mrr@10`, ...
        groups: See `bootstrap_metric`.
        samples: Number of resamples. Default: 2,000.
        confidence: Default: 0.95.
        seed: The same seed gives the same interval.

    Returns:
        The interval of first minus second.

    Raises:
        ConfigError: The numbers of targets differ, or as in `bootstrap_metric`.

    Example:
        >>> ranks, other = np.array([1.0, 1.0, 9.0]), np.array([1.0, 7.0, 9.0])
        >>> paired_bootstrap(ranks, other, "recall@5").value
        0.3333333333333333

    Reference: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13 (percentile intervals).
    """
    if ranks.shape != other_ranks.shape:
        raise ConfigError(
            f"The models have {ranks.size:,} and {other_ranks.size:,} ranks.",
            remedy="Evaluate both on the same split by the same protocol.",
        )
    return _interval(_gains(ranks, metric) - _gains(other_ranks, metric), metric, groups, samples, confidence, seed)


def _gains(ranks: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    family, separator, cutoff = metric.partition("@")
    if not separator or not cutoff.isdigit() or int(cutoff) < 1:
        raise ConfigError(f"`{metric}` is not a metric with a cut-off.", remedy="Write it like `recall@20`.")
    return gains(family, ranks, int(cutoff))


def _interval(
    values: NDArray[np.float64],
    metric: str,
    groups: NDArray[Any] | None,
    samples: int,
    confidence: float,
    seed: int,
) -> BootstrapInterval:
    if values.size == 0 or samples < 1 or not 0 < confidence < 1:
        raise ConfigError(
            f"Cannot resample {values.size} targets {samples} times for a confidence of {confidence}.",
            remedy="Targets and samples must be at least 1, the confidence between 0 and 1.",
        )
    if groups is None:
        sums, sizes = values, np.ones(values.size)
    elif groups.shape != values.shape:
        raise ConfigError(f"There are {values.size:,} targets and {groups.size:,} groups.", remedy="Give one for each.")
    else:
        _, group = np.unique(groups, return_inverse=True)
        sums, sizes = np.bincount(group, values).astype(np.float64), np.bincount(group).astype(np.float64)
    rng = np.random.default_rng(seed)
    estimates = np.empty(samples)
    block = max(1, _BLOCK_DRAWS // sums.size)
    for start in range(0, samples, block):
        part = estimates[start : start + block]
        drawn = rng.integers(0, sums.size, (part.size, sums.size))  # [block, groups]
        part[:] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(estimates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return BootstrapInterval(metric, float(values.mean()), float(low), float(high), confidence)
