"""Diversity by maximal marginal relevance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tfrec.reranking.greedy_lists import Floats, check_strength, greedy_lists, scaled_scores


def mmr_lists(
    scores: Floats, valid: NDArray[np.bool_], similarity: Floats, *, length: int, strength: float
) -> NDArray[np.int32]:
    """Returns lists whose items are relevant and unlike each other.

    One at a time, the candidate with the highest (1 - strength) * relevance - strength * (highest similarity with an
    item in the list already) is taken.

    Args:
        scores: Scores of the candidates, best first, float `[lists, candidates]`; scaled to 0..1 per list here.
        valid: Which places hold a candidate, bool `[lists, candidates]`.
        similarity: Of every two candidates, for example cosines, float `[lists, candidates, candidates]`.
        length: Length of the lists to make.
        strength: 0: the order as it was; 1: similarity alone.

    Returns:
        Places among the candidates, -1 where a list ends early, int32 `[lists, length]`.

    Raises:
        ConfigError: The strength is not between 0 and 1.

    Reference:
        Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998; its lambda is 1 - strength.
    """
    check_strength(strength)
    relevance = scaled_scores(scores, valid)
    rows = np.arange(len(scores))
    closest = np.full(scores.shape, -np.inf)

    def gain() -> Floats:
        return (1 - strength) * relevance - strength * np.where(np.isneginf(closest), 0.0, closest)

    def take(place: NDArray[np.int64]) -> None:
        np.maximum(closest, similarity[rows, place], out=closest)

    return greedy_lists(valid, length, gain, take)
