"""What a user's vector is good for elsewhere: telling which categories he turns to next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_HELD_OUT = 0.25
_TOP = 10
_USERS_AT_ONCE = 4096

Floats = NDArray[np.floating[Any]]


def probe_interests(train: Floats, train_counts: Any, test: Floats, test_counts: Any) -> NDArray[np.float64]:
    """Predicts the categories of short windows from vectors of long ones by ridge regression.

    The penalty is chosen on a quarter of the training users.

    Args:
        train: Vectors of the long windows of training users, `[users, dim]`.
        train_counts: Events of their short windows by category, sparse or dense `[users, categories]`.
        test: Vectors of other users, `[others, dim]`.
        test_counts: Events of their short windows, `[others, categories]`.

    Returns:
        Per user of `test`, the share of his short window's events that are of the 10 categories predicted first.
    """
    targets = _shares(train_counts)
    mean, scale = train.mean(axis=0), train.std(axis=0) + 1e-6
    inputs, others = ((_wide(part) - mean) / scale for part in (train, test))
    cut = int(len(inputs) * (1.0 - _HELD_OUT))
    scores = {}
    for penalty in _PENALTIES:
        weights, centre = _fit(inputs[:cut], targets[:cut], penalty)
        predicted = inputs[cut:] @ weights + centre
        scores[penalty] = float(_hit_share(predicted, targets[cut:]).mean()) if cut < len(inputs) else 0.0
    best = max(scores, key=lambda penalty: scores[penalty])
    weights, centre = _fit(inputs, targets, best)
    pieces = [slice(first, first + _USERS_AT_ONCE) for first in range(0, len(others), _USERS_AT_ONCE)]
    found = [_hit_share(others[rows] @ weights + centre, _shares(test_counts[rows])) for rows in pieces]
    return np.concatenate(found)


def probe_popular(popular: NDArray[Any], counts: Any) -> NDArray[np.float64]:
    """Returns the share of each user's events in the 10 categories that are the most frequent in training, `[users]`.

    Args:
        popular: Training events by category, `[categories]`.
        counts: Events by category, sparse `[users, categories]`.
    """
    first = np.argsort(-popular, kind="stable")[:_TOP]
    hits, events = (_wide(part.sum(axis=1))[:, 0] for part in (counts[:, first], counts))
    share: NDArray[np.float64] = hits / np.maximum(events, 1.0)
    return share


def _fit(inputs: Floats, targets: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Returns weights `[dim, categories]` and what is added, `[categories]`."""
    centre = targets.mean(axis=0)
    gram = inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[1])
    return np.linalg.solve(gram, inputs.T @ (targets - centre)), centre


def _hit_share(predicted: Floats, targets: Floats) -> NDArray[np.float64]:
    first = np.argsort(-predicted, axis=1, kind="stable")[:, :_TOP]
    return np.take_along_axis(targets, first, axis=1).sum(axis=1).astype(np.float64)


def _shares(counts: Any) -> NDArray[np.float64]:
    dense = _wide(counts.todense() if hasattr(counts, "todense") else counts)
    return dense / np.maximum(dense.sum(axis=1, keepdims=True), 1.0)


def _wide(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)
