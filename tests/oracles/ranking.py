"""Exact ranking one target at a time, in plain numpy: slow, obvious, independent of tfrec."""

from __future__ import annotations

import math

import numpy as np


def candidate_columns(vocab_size: int, history: list[int], target: int, exclude_history: bool) -> list[int]:
    """The item indices that compete: all from 2 on, without the history (but always with the target)."""
    excluded = set(history) - {target} if exclude_history else set()
    return [item for item in range(2, vocab_size) if item not in excluded]


def rank_of(scores: np.ndarray, target: int, candidates: list[int], rule: str) -> float:
    """Rank of one target; infinite when it is no candidate."""
    if target not in candidates:
        return math.inf
    above = sum(1 for item in candidates if scores[item] > scores[target])
    ties = sum(1 for item in candidates if scores[item] == scores[target])
    return {"standard": above + 1.0, "conservative": float(above + ties), "median": above + (ties - 1) / 2 + 1}[rule]


def gain(family: str, rank: float, cutoff: int) -> float:
    """What one target adds to a metric."""
    if rank > cutoff:
        return 0.0
    return {"recall": 1.0, "hit": 1.0, "mrr": 1.0 / rank, "ndcg": 1.0 / math.log2(rank + 1)}[family]


def metrics(ranks: list[float], cutoffs: list[int], miss_rank: float = math.inf) -> dict[str, float]:
    """All metrics as averages over the targets; a miss has `miss_rank` in the average rank."""
    at_cutoffs = {
        f"{family}@{cutoff}": sum(gain(family, rank, cutoff) for rank in ranks) / len(ranks)
        for cutoff in cutoffs
        for family in ("recall", "mrr", "ndcg", "hit")
    }
    uncut = {
        "mrr": sum(0.0 if math.isinf(rank) else 1.0 / rank for rank in ranks) / len(ranks),
        "avg_rank": sum(miss_rank if math.isinf(rank) else rank for rank in ranks) / len(ranks),
    }
    return {**at_cutoffs, **uncut}


def targets_of(items: list[list[int]], num_targets: list[int]) -> list[tuple[list[int], int]]:
    """The (events before, target) pairs of ragged sequences, in the order in which scorers return rows."""
    return [
        (sequence[:position], sequence[position])
        for sequence, trailing in zip(items, num_targets, strict=True)
        for position in range(len(sequence) - trailing, len(sequence))
    ]
