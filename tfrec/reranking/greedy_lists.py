"""Lists made one item at a time, many lists at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError

Floats = NDArray[np.float64]


def greedy_lists(
    valid: NDArray[np.bool_], length: int, gain: Callable[[], Floats], take: Callable[[NDArray[np.int64]], None]
) -> NDArray[np.int32]:
    """Takes the candidate with the highest gain, again and again; equal gains go by place.

    Args:
        valid: Which places hold a candidate, bool `[lists, candidates]`.
        length: Length of the lists to make.
        gain: Returns what every candidate would add now, float `[lists, candidates]`.
        take: Called with the place that was taken in every list, int64 `[lists]`; where a list has run out of
            candidates, that of one that is in it already.

    Returns:
        Places, best first, -1 where a list ends early, int32 `[lists, length]`.
    """
    rows = np.arange(len(valid))
    left = valid.copy()
    chosen = np.full((len(valid), length), -1, np.int32)
    for step in range(length):
        place = np.where(left, gain(), -np.inf).argmax(axis=1)  # [lists]
        alive = left[rows, place]
        if not alive.any():
            break
        chosen[alive, step] = place[alive]
        left[rows, place] = False
        take(place)
    return chosen


def scaled_scores(scores: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Returns scores between 0 (lowest) and 1 (highest) of each list; 0 where all are equal and outside of `valid`.

    Models score on scales of their own; strengths of re-ranking mean the same for all of them only on a common one.

    Args:
        scores: Finite where valid, float `[lists, candidates]`.
        valid: Which places hold a candidate, bool `[lists, candidates]`.
    """
    low = np.where(valid, scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)  # [lists, 1]
    high = np.where(valid, scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    width = np.where(high > low, high - low, 1.0)
    return np.where(valid, (np.where(valid, scores, 0.0) - np.where(valid, low, 0.0)) / width, 0.0)


def check_strength(strength: float) -> None:
    """Raises ConfigError unless a strength is between 0 (the order as it was) and 1 (scores do not count)."""
    if not 0.0 <= strength <= 1.0:
        raise ConfigError(f"The strength of re-ranking is {strength}.", remedy="Use a number from 0 to 1.")
