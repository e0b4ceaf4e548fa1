"""Less obvious lists: popular items give way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tfrec.reranking.greedy_lists import Floats, check_strength, scaled_scores


def item_novelty(item_counts: NDArray[np.int64]) -> Floats:
    """Returns the self-information of every item in bits: -log2 of its share of the training events.

    One event is added to each item, so that items without any are the newest and not infinitely new.

    Args:
        item_counts: Training events by item index, `[vocab]`; padding and out of vocabulary have none.

    Returns:
        float `[vocab]`, 0 for padding and out of vocabulary.

    Reference:
        Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010; Vargas and
        Castells, "Rank and relevance in novelty and diversity metrics", RecSys 2011.
    """
    counts = item_counts.astype(np.float64) + 1.0
    bits = np.log2(counts[2:].sum() / counts)
    bits[:2] = 0.0
    return bits


def novelty_lists(
    scores: Floats, valid: NDArray[np.bool_], novelty: Floats, *, length: int, strength: float
) -> NDArray[np.int32]:
    """Returns the candidates with the highest (1 - strength) * relevance + strength * novelty.

    Args:
        scores: Scores of the candidates, best first, float `[lists, candidates]`; scaled to 0..1 per list here.
        valid: Which places hold a candidate, bool `[lists, candidates]`.
        novelty: Of every candidate, float `[lists, candidates]`; scaled likewise.
        length: Length of the lists to make.
        strength: 0: the order as it was; 1: the newest candidates.

    Returns:
        Places among the candidates, -1 where a list ends early, int32 `[lists, length]`.

    Raises:
        ConfigError: The strength is not between 0 and 1.
    """
    check_strength(strength)
    mixed = (1 - strength) * scaled_scores(scores, valid) + strength * scaled_scores(novelty, valid)
    order = np.argsort(np.where(valid, -mixed, np.inf), axis=1, kind="stable")[:, :length]  # [lists, length]
    chosen = np.full((len(scores), length), -1, np.int32)
    chosen[:, : order.shape[1]] = np.where(np.take_along_axis(valid, order, axis=1), order, -1)
    return chosen
