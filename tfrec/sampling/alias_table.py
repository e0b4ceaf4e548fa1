"""Alias tables: draw from any discrete distribution in constant time per draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def alias_table(weights: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Builds the alias table of a distribution, without a loop over its elements.

    To draw, take a uniform element i and a uniform number u: the result is i if u < keep[i], else alias[i]. Element i
    has n p_i units of mass; those with less than one ("light") are topped up by those with more ("heavy"). Light ones
    are laid out along the line of their missing mass, heavy ones along the line of their surplus; both lines have equal
    length, so the heavy element above the start of a light one is its alias, and a heavy element whose surplus ends
    inside a light one's gap is topped up by the next heavy one.

    Args:
        weights: Positive weights, `[n]`.

    Returns:
        `(keep, alias)`: probability of keeping the drawn element, and the element taken otherwise, both `[n]`.

    Reference: Walker 1977; the two lines follow Hübschle-Schneider and Sanders, "Parallel weighted random sampling".
    """
    weights = np.asarray(weights, np.float64)
    mass = weights * (len(weights) / weights.sum())
    keep, alias = np.ones_like(mass), np.arange(len(mass))
    light, heavy = np.flatnonzero(mass < 1.0), np.flatnonzero(mass > 1.0)
    if not len(light) or not len(heavy):
        return keep, alias
    gap_ends, surplus_ends = np.cumsum(1.0 - mass[light]), np.cumsum(mass[heavy] - 1.0)
    gap_starts = np.concatenate([[0.0], gap_ends[:-1]])
    keep[light] = mass[light]
    alias[light] = heavy[np.minimum(np.searchsorted(surplus_ends, gap_starts, side="right"), len(heavy) - 1)]
    ended = np.searchsorted(gap_ends, surplus_ends[:-1], side="left")  # the light one in whose gap the surplus ends
    inside = np.flatnonzero(ended < len(light))
    keep[heavy[inside]] = np.clip(1.0 - (gap_ends[ended[inside]] - surplus_ends[inside]), 0.0, 1.0)
    alias[heavy[inside]] = heavy[inside + 1]
    return keep, alias
