"""Recall, MRR, NDCG, hit rate and average rank from the ranks of targets, and what a random ranking would score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError

DEFAULT_CUTOFFS: tuple[int, ...] = (1, 5, 10, 20)
METRIC_FAMILIES: tuple[str, ...] = ("recall", "mrr", "ndcg", "hit")
MRR, AVERAGE_RANK = "mrr", "avg_rank"
UNCUT_METRICS: tuple[str, ...] = (MRR, AVERAGE_RANK)


def check_cutoffs(cutoffs: Sequence[int]) -> None:
    """Raises a ConfigError unless `cutoffs` holds at least one value and only distinct positive integers."""
    if not cutoffs or any(cutoff < 1 for cutoff in cutoffs) or len(set(cutoffs)) != len(cutoffs):
        raise ConfigError(
            f"`cutoffs` is {list(cutoffs)}.", remedy="Give distinct integers of at least 1, such as 10,20."
        )


def gains(family: str, ranks: NDArray[np.float64], cutoff: int) -> NDArray[np.float64]:
    """Returns what each target contributes to one metric: its gain if the rank is within the cut-off, else 0.

    With one relevant item per target recall and hit rate are the same number, and the ideal DCG is 1.

    Args:
        family: `recall`, `hit` (gain 1), `mrr` (1 / rank) or `ndcg` (1 / log2(rank + 1)).
        ranks: Ranks from 1; half ranks are used as they are, infinite ranks are misses. `[targets]`.
        cutoff: The last rank that counts.

    Returns:
        Gains in [0, 1], `[targets]`.

    Raises:
        ConfigError: Unknown metric family.
    """
    within = ranks <= cutoff
    safe = np.where(within, ranks, 1.0)
    if family in ("recall", "hit"):
        return within.astype(np.float64)
    if family == "mrr":
        return np.where(within, 1.0 / safe, 0.0)
    if family == "ndcg":
        return np.where(within, 1.0 / np.log2(safe + 1.0), 0.0)
    raise ConfigError(f"Unknown metric `{family}`.", remedy=f"Known: {', '.join(METRIC_FAMILIES)}.")


def metric_gains(metric: str, ranks: NDArray[np.float64], miss_rank: float = np.inf) -> NDArray[np.float64]:
    """Returns what each target contributes to a metric given by its name.

    Args:
        metric: With a cut-off as in `recall@20`, or without one: `mrr` and `avg_rank`.
        ranks: Ranks from 1, infinite for a miss. `[targets]`.
        miss_rank: Rank of a miss in `avg_rank`. Default: infinite.

    Returns:
        `[targets]`; the metric is the average.

    Raises:
        ConfigError: The metric is unknown.
    """
    family, separator, cutoff = metric.partition("@")
    if metric == MRR:
        return 1.0 / ranks
    if metric == AVERAGE_RANK:
        return np.where(np.isinf(ranks), miss_rank, ranks)
    if not separator or not cutoff.isdigit() or int(cutoff) < 1:
        raise ConfigError(
            f"`{metric}` is not a metric.", remedy=f"Write it like `recall@20`, or one of {', '.join(UNCUT_METRICS)}."
        )
    return gains(family, ranks, int(cutoff))


def metric_names(cutoffs: Sequence[int]) -> list[str]:
    """Returns the names of all metrics: `recall@1`, `mrr@1`, `ndcg@1`, `hit@1`, ..., `mrr`, `avg_rank`."""
    return [*(f"{family}@{cutoff}" for cutoff in cutoffs for family in METRIC_FAMILIES), *UNCUT_METRICS]


def ranking_metrics(
    ranks: NDArray[np.float64], cutoffs: Sequence[int] = DEFAULT_CUTOFFS, *, miss_rank: float = np.inf
) -> dict[str, float]:
    """Averages every metric over the targets (micro-average: each target weighs the same).

    Args:
        ranks: Ranks from 1, infinite for a miss. `[targets]`.
        cutoffs: Cut-offs. Default: 1, 5, 10, 20.
        miss_rank: Rank of a miss in `avg_rank`: one behind all candidates. Default: infinite.

    Returns:
        `recall@1`, `mrr@1`, `ndcg@1`, `hit@1`, `recall@5`, ..., then `mrr` and `avg_rank` without a cut-off; all 0 when
        there is no target.

    Example:
        >>> ranking_metrics(np.array([1.0, 3.0]), cutoffs=[2, 3])["mrr@3"]
        0.6666666666666666
    """
    check_cutoffs(cutoffs)
    return {
        name: float(metric_gains(name, ranks, miss_rank).mean()) if ranks.size else 0.0
        for name in metric_names(cutoffs)
    }


def chance_metrics(
    num_candidates: int | NDArray[np.integer[Any]],
    cutoffs: Sequence[int] = DEFAULT_CUTOFFS,
    *,
    miss_rank: float = np.inf,
) -> dict[str, float]:
    """Expected metrics of a uniformly random ranking: the row below which a model has learnt nothing.

    With N candidates every rank 1..N has probability 1/N, so recall@k = min(k, N)/N, mrr@k = H_min(k, N)/N and
    ndcg@k = sum over r <= min(k, N) of 1/log2(r + 1), over N; mrr = H_N/N and avg_rank = (N + 1)/2.

    Args:
        num_candidates: Number of candidates of all targets, or of each target (`[targets]`); a target with 0
            candidates (it cannot be ranked at all) is a miss.
        cutoffs: Cut-offs. Default: 1, 5, 10, 20.
        miss_rank: Rank of a miss in `avg_rank`. Default: infinite.

    Returns:
        The same keys as `ranking_metrics`.
    """
    check_cutoffs(cutoffs)
    sizes, counts = np.unique(np.atleast_1d(np.asarray(num_candidates, dtype=np.int64)), return_counts=True)
    weights = counts / max(1, counts.sum())  # [sizes]
    known = sizes > 0
    share = np.where(known, weights, 0.0) / np.where(known, sizes, 1)  # [sizes]
    expected = {}
    for name in metric_names(cutoffs):
        cutoff = int(name.partition("@")[2] or sizes.max(initial=0))
        ranks = np.arange(1, cutoff + 1, dtype=np.float64)
        sums = np.concatenate([[0.0], np.cumsum(metric_gains(name, ranks))])
        expected[name] = float(share @ sums[np.minimum(sizes, cutoff)])
    missed = float(weights[~known].sum())
    if missed:
        expected[AVERAGE_RANK] += missed * miss_rank
    return expected
