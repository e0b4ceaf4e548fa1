"""Calibrated lists: categories in the proportions that a user had before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tfrec.reranking.greedy_lists import Floats, check_strength, greedy_lists, scaled_scores

SMOOTHING = 0.01


def divergence(wanted: Floats, given: Floats, *, smoothing: float = SMOOTHING) -> Floats:
    """Returns the Kullback-Leibler divergence of the categories of a list from those of a history, in nats.

    Categories that the list lacks would make it infinite: the list is mixed with a little of the history.

    Args:
        wanted: Shares of the categories in the history, float `[..., categories]`; all 0 without a history.
        given: Shares in the list, of the same shape or one that broadcasts.
        smoothing: Share of the history in the mixture.

    Returns:
        float `[...]`; 0 for equal shares, and without a history.

    Reference:
        Steck, "Calibrated recommendations", RecSys 2018, equation 2.
    """
    mixed = (1 - smoothing) * given + smoothing * wanted
    ratio = np.where(wanted > 0, wanted, 1.0) / np.where(wanted > 0, mixed, 1.0)
    found: Floats = (wanted * np.log(ratio)).sum(axis=-1)
    return found


def calibrated_lists(
    scores: Floats, valid: NDArray[np.bool_], categories: Floats, wanted: Floats, *, length: int, strength: float
) -> NDArray[np.int32]:
    """Returns lists with high scores whose categories are shared out as in the history of their user.

    One at a time, the candidate is taken that makes (1 - strength) * sum of relevance - strength * divergence highest.

    Args:
        scores: Scores of the candidates, best first, float `[lists, candidates]`; scaled to 0..1 per list here.
        valid: Which places hold a candidate, bool `[lists, candidates]`.
        categories: Shares of the categories in every candidate, which sum to 1, or 0 for one without categories;
            float `[lists, candidates, categories]`.
        wanted: Shares in the history, float `[lists, categories]`.
        length: Length of the lists to make.
        strength: 0: the order as it was; 1: proportions alone.

    Returns:
        Places among the candidates, -1 where a list ends early, int32 `[lists, length]`.

    Raises:
        ConfigError: The strength is not between 0 and 1.

    Reference:
        Steck, "Calibrated recommendations", RecSys 2018, equation 4 and its greedy algorithm.
    Differences:
        All items of a list weigh the same, and scores are scaled per list.
    """
    check_strength(strength)
    relevance = scaled_scores(scores, valid)
    if strength == 0.0:
        return greedy_lists(valid, length, lambda: relevance, lambda place: None)
    rows = np.arange(len(scores))
    has = categories.sum(axis=2) > 0  # [lists, candidates]
    total = np.zeros_like(wanted)  # [lists, categories]
    number = np.zeros(len(scores))

    def gain() -> Floats:
        items = np.maximum(number[:, np.newaxis] + has, 1.0)[:, :, np.newaxis]  # [lists, candidates, 1]
        shares = (total[:, np.newaxis] + categories) / items  # [lists, candidates, categories]
        return (1 - strength) * relevance - strength * divergence(wanted[:, np.newaxis], shares)

    def take(place: NDArray[np.int64]) -> None:
        total[:] += categories[rows, place]
        number[:] += has[rows, place]

    return greedy_lists(valid, length, gain, take)
