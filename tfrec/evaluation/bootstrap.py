"""How far a difference between two models could be luck: paired bootstrap over the same targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import ConfigError
from tfrec.evaluation.ranking_metrics import metric_gains

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
        share_positive: Share of the resamples in which the value is above zero, those at zero counting one half.
        p_value: Twice the share of resamples on the other side of zero, those at zero included; at least 1 / samples.
    """

    metric: str
    value: float
    low: float
    high: float
    confidence: float
    share_positive: float
    p_value: float

    @property
    def excludes_zero(self) -> bool:
        """True when zero, no difference, lies outside the interval."""
        return self.low > 0 or self.high < 0

    def comparison(self, *, lower_is_better: bool = False) -> dict[str, float]:
        """Returns what a table of differences shows; `share_better`: share of the resamples in favour of the first."""
        better = 1.0 - self.share_positive if lower_is_better else self.share_positive
        bounds = {"value": self.value, "low": self.low, "high": self.high}
        return {**bounds, "p_value": self.p_value, "share_better": better}


def resampled_means(
    gains: Mapping[str, NDArray[np.float64]], groups: NDArray[np.integer[Any]], *, samples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Returns the averages of several metrics over the same resamples of whole groups.

    The same groups and seed give the same resamples: two models' estimates may be subtracted one by one. A target
    whose gain is NaN takes no part in that metric.

    Args:
        gains: By metric, what each target contributes, `[targets]`.
        groups: Number of the group of every target, from 0 without gaps, `[targets]`.
        samples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        By metric, one average per resample, `[samples]`; NaN where a resample has no target with a gain.

    Raises:
        ConfigError: There is no resample to draw.
    """
    if samples < 1:
        raise ConfigError(f"Cannot resample {samples} times.", remedy="Give at least 1 sample.")
    count = int(groups.max(initial=-1)) + 1
    columns: list[NDArray[Any]] = []
    size_columns: dict[bytes, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for name, values in gains.items():
        present = ~np.isnan(values)
        pattern = np.packbits(present).tobytes()
        if pattern not in size_columns:
            size_columns[pattern] = len(columns)
            columns.append(np.bincount(groups, present, minlength=count))
        places[name] = (len(columns), size_columns[pattern])
        columns.append(np.bincount(groups, np.where(present, values, 0.0), minlength=count))
    table = tf.constant(np.stack(columns, axis=1), tf.float64)  # [groups, columns]
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_DRAWS // count)
    sums = []
    for start in range(0, samples, block):
        rows = min(block, samples - start)
        drawn = rng.integers(0, count, (rows, count)) + np.arange(rows)[:, np.newaxis] * count  # [block, groups]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        sums.append(tf.matmul(tf.constant(times, tf.float64), table).numpy())  # [block, columns]
    totals = np.concatenate(sums)  # [samples, columns]
    with np.errstate(invalid="ignore"):
        return {name: totals[:, total] / totals[:, size] for name, (total, size) in places.items()}


def percentile_interval(
    metric: str, value: float, estimates: NDArray[np.float64], confidence: float
) -> BootstrapInterval:
    """Makes the interval of a value from its resampled estimates.

    Args:
        metric: Name of the metric.
        value: The value on all targets.
        estimates: As `resampled_means` returns them, or the difference of two, `[samples]`.
        confidence: What the interval is meant to cover.

    Returns:
        The interval.
    """
    estimates = estimates[~np.isnan(estimates)]
    low, high = np.quantile(estimates, [(1 - confidence) / 2, (1 + confidence) / 2]) if estimates.size else (value,) * 2
    samples = max(1, estimates.size)
    above, below = float((estimates > 0).sum() / samples), float((estimates < 0).sum() / samples)
    at_zero = 1.0 - above - below
    p_value = min(1.0, max(2 * min(above + at_zero, below + at_zero), 1.0 / samples))
    return BootstrapInterval(metric, value, float(low), float(high), confidence, above + 0.5 * at_zero, p_value)


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
    return _interval(metric_gains(metric, ranks), metric, groups, samples, confidence, seed)


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
    difference = metric_gains(metric, ranks) - metric_gains(metric, other_ranks)
    return _interval(difference, metric, groups, samples, confidence, seed)


def _interval(
    values: NDArray[np.float64],
    metric: str,
    groups: NDArray[Any] | None,
    samples: int,
    confidence: float,
    seed: int,
) -> BootstrapInterval:
    if groups is not None and groups.shape != values.shape:
        raise ConfigError(f"There are {values.size:,} targets and {groups.size:,} groups.", remedy="Give one for each.")
    if values.size == 0 or not 0 < confidence < 1:
        raise ConfigError(
            f"Cannot resample {values.size} targets for a confidence of {confidence}.",
            remedy="There must be a target, and the confidence must lie between 0 and 1.",
        )
    number = np.arange(values.size) if groups is None else np.unique(groups, return_inverse=True)[1]
    estimates = resampled_means({metric: values}, number, samples=samples, seed=seed)[metric]
    return percentile_interval(metric, float(values.mean()), estimates, confidence)
