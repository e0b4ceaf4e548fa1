"""Top-k lists as numpy makes them, one row at a time."""

from __future__ import annotations

import numpy as np

RESERVED = 2


def best_items(scores, k, excluded=None, allowed=None, has_allowed=None):
    """Returns scores `[batch, min(k, n - 2)]` and indices by a stable argsort of all scores, `[batch, n]`."""
    scores = np.array(scores, np.float32)
    batch, vocab = scores.shape
    width = min(k, vocab - RESERVED)
    out_scores = np.full((batch, width), -np.inf, np.float32)
    out_indices = np.zeros((batch, width), np.int32)
    for row in range(batch):
        candidates = set(range(RESERVED, vocab))
        if allowed is not None and np.shape(allowed)[1]:
            given = {int(index) for index in allowed[row]}
            listed = bool(has_allowed[row]) if has_allowed is not None else any(index >= RESERVED for index in given)
            if listed:
                candidates &= given
        if excluded is not None:
            candidates -= {int(index) for index in excluded[row]}
        ordered = sorted(index for index in candidates if np.isfinite(scores[row, index]))
        best = np.array(ordered, np.int32)[np.argsort(-scores[row, ordered], kind="stable")][:width]
        out_indices[row, : len(best)] = best
        out_scores[row, : len(best)] = scores[row, best]
    return out_scores, out_indices
