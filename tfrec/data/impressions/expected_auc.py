"""The best AUC that any model can be expected to have, from known probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def expected_auc(probabilities: npt.ArrayLike) -> float:
    """Returns the AUC of the true probabilities, in expectation over labels drawn with them.

    A pair (i, j) has a click at i and none at j with the weight `p_i (1 - p_j)`; it is right when `p_i > p_j`, half
    right when they are equal. The result is the weight of right pairs among all pairs of different rows.

    Args:
        probabilities: True probabilities `[rows]`.

    Example:
        >>> round(expected_auc([0.2, 0.8]), 4)  # 0.64 right, 0.04 wrong
        0.9412
    """
    p = np.sort(np.asarray(probabilities, np.float64))
    _, first = np.unique(p, return_index=True)
    clicks = np.add.reduceat(p, first)  # weight of clicks per distinct probability
    others = np.add.reduceat(1.0 - p, first)
    below = np.concatenate([[0.0], np.cumsum(others)[:-1]])
    own = np.add.reduceat(p * (1.0 - p), first)  # a row is no pair with itself
    right = np.sum(clicks * below + 0.5 * (clicks * others - own))
    total = p.sum() * (1.0 - p).sum() - np.sum(p * (1.0 - p))
    return float(right / total)
