"""Targets with given ranks, for what is made from them."""

from __future__ import annotations

import numpy as np

from tfrec.evaluation.ranked_targets import RankedTargets
from tfrec.evaluation.ranking_metrics import chance_metrics, ranking_metrics
from tfrec.evaluation.ranking_result import RankingResult


def make_targets(
    ranks: list[float],
    *,
    candidates: int = 100,
    item: list[int] | None = None,
    position: list[int] | None = None,
    owner: list[int] | None = None,
    ties: int = 0,
) -> RankedTargets:
    """Targets with conservative ranks; an infinite one is a target that is no candidate."""
    known = np.isfinite(ranks)
    greater_equal = np.where(known, ranks, 1).astype(np.int64)
    count = len(ranks)
    return RankedTargets(
        greater=greater_equal - 1 - ties,
        greater_equal=greater_equal,
        candidates=np.where(known, candidates, 0),
        item=np.array(item or [2] * count),
        position=np.array(position or [1] * count),
        sequence=np.arange(count),
        owner=np.array(owner if owner is not None else range(count)),
    )


def make_result(targets: RankedTargets, cutoffs: tuple[int, ...] = (5, 10), **changes: object) -> RankingResult:
    """The result with these targets."""
    number = int(targets.candidates.max())
    fields = {
        "metrics": ranking_metrics(targets.ranks("conservative"), cutoffs, miss_rank=number + 1),
        "chance": chance_metrics(targets.candidates, cutoffs, miss_rank=number + 1),
        "num_targets": len(targets),
        "num_sequences": len(targets),
        "num_candidates": number,
        "tie_rule": "conservative",
        "protocol": "full",
        "num_unknown_targets": int((~targets.known).sum()),
        "seconds": 1.0,
        "targets": targets,
    }
    return RankingResult(**{**fields, **changes})
