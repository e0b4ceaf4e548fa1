"""Where targets end up in the ranking, beside where a random ranking would put them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rank_histogram(
    ranks: NDArray[np.float64], candidates: NDArray[np.integer[Any]], num_candidates: int
) -> dict[str, Any]:
    """Counts ranks in bins of growing width: 1, 2, 3-5, 6-10, 11-20, 21-50, ...

    Args:
        ranks: Ranks from 1, infinite for targets that are no candidates, `[targets]`; half ranks belong to the bin
            below.
        candidates: Number of candidates of each target, 0 for those that are none, `[targets]`.
        num_candidates: The largest number of candidates.

    Returns:
        `edges`: bin i holds edges[i] <= rank < edges[i + 1]; `counts`; `chance`: expected counts of a random ranking;
        `unknown`: number of targets that are no candidates.
    """
    edges = _edges(num_candidates)
    known = np.isfinite(ranks)
    sizes, times = np.unique(np.asarray(candidates)[known], return_counts=True)
    # A target with N candidates has each rank 1..N with probability 1/N.
    within = np.clip(edges[1:] - 1, 0, sizes[:, np.newaxis]) - np.clip(edges[:-1] - 1, 0, sizes[:, np.newaxis])
    expected = (times / np.maximum(sizes, 1)) @ within  # [bins]
    return {
        "edges": edges.tolist(),
        "counts": np.histogram(ranks[known], edges)[0].tolist(),
        "chance": expected.tolist(),
        "unknown": int((~known).sum()),
    }


def _edges(num_candidates: int) -> NDArray[np.int64]:
    inner = [1]
    scale = 1
    while scale <= num_candidates:
        inner += [scale + 1, 2 * scale + 1, 5 * scale + 1]
        scale *= 10
    return np.array([*(edge for edge in sorted(set(inner)) if edge <= num_candidates), num_candidates + 1], np.int64)
