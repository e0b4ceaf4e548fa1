"""Where codebooks start: centres of clusters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_TRIES = 3
"""Starts of k-means, of which the best is kept: it may end in a poor local optimum."""


def start_codebook(vectors: Floats, size: int, *, rounds: int = 20, seed: int = 0) -> Floats:
    """Returns centres by k-means from well-spread starts.

    Args:
        vectors: float32 `[n, dim]`.
        size: Number of centres; where there are fewer vectors, some are taken more than once.
        rounds: Rounds of assignment and averaging.
        seed: The same seed and vectors give the same centres.

    Returns:
        float32 `[size, dim]`.

    Reference: Arthur and Vassilvitskii, "k-means++", SODA 2007.
    """
    random = np.random.default_rng(seed)
    found = [_lloyd(vectors, _spread(vectors, size, random), rounds) for _ in range(_TRIES)]
    return min(found, key=lambda pair: pair[1])[0]


def squared_distances(vectors: Floats, centres: Floats) -> Floats:
    """Returns squared distances, float32 `[n, centres]`, at least 0."""
    norms = np.sum(np.square(vectors), axis=1)[:, np.newaxis] + np.sum(np.square(centres), axis=1)
    return np.maximum(norms - 2.0 * (vectors @ centres.T), 0.0)


def _spread(vectors: Floats, size: int, random: np.random.Generator) -> Floats:
    """Draws vectors one by one, each with probability by its squared distance to the nearest before."""
    chosen = [int(random.integers(len(vectors)))]
    nearest = squared_distances(vectors, vectors[chosen])[:, 0]
    while len(chosen) < size:
        total = float(nearest.sum())
        share = nearest / total if total > 0 else np.full(len(vectors), 1.0 / len(vectors))
        chosen.append(int(np.searchsorted(np.cumsum(share), random.random()).clip(0, len(vectors) - 1)))
        nearest = np.minimum(nearest, squared_distances(vectors, vectors[chosen[-1:]])[:, 0])
    return vectors[chosen]


def _lloyd(vectors: Floats, centres: Floats, rounds: int) -> tuple[Floats, float]:
    """Returns improved centres, and the sum of squared distances to the nearest."""
    distances = squared_distances(vectors, centres)
    for _ in range(rounds):
        nearest = distances.argmin(axis=1)
        counts = np.bincount(nearest, minlength=len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        centres = np.where(counts[:, np.newaxis] > 0, sums / np.maximum(counts, 1)[:, np.newaxis], centres)
        centres = centres.astype(np.float32)
        distances = squared_distances(vectors, centres)
    return centres, float(distances.min(axis=1).sum())
