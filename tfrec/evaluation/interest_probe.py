"""What a user's vector is good for elsewhere: telling which categories he turns to next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_HELD_OUT = 0.25
_TOP = 10

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
    targets, wanted = _shares(train_counts), _shares(test_counts)
    mean, scale = train.mean(axis=0), train.std(axis=0) + 1e-6
    inputs, others = ((_wide(part) - mean) / scale for part in (train, test))
    cut = int(len(inputs) * (1.0 - _HELD_OUT))
    scores = {}
    for penalty in _PENALTIES:
        predicted = _fit(inputs[:cut], targets[:cut], inputs[cut:], penalty)
        scores[penalty] = float(_hit_share(predicted, targets[cut:]).mean()) if cut < len(inputs) else 0.0
    best = max(scores, key=lambda penalty: scores[penalty])
    return _hit_share(_fit(inputs, targets, others, best), wanted)


def _fit(inputs: Floats, targets: Floats, others: Floats, penalty: float) -> NDArray[np.float64]:
    centre = targets.mean(axis=0)
    gram = inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (targets - centre))
    predicted: NDArray[np.float64] = others @ weights + centre
    return predicted


def _hit_share(predicted: Floats, targets: Floats) -> NDArray[np.float64]:
    first = np.argsort(-predicted, axis=1, kind="stable")[:, :_TOP]
    return np.take_along_axis(targets, first, axis=1).sum(axis=1).astype(np.float64)


def _shares(counts: Any) -> NDArray[np.float64]:
    dense = _wide(counts.todense() if hasattr(counts, "todense") else counts)
    return dense / np.maximum(dense.sum(axis=1, keepdims=True), 1.0)


def _wide(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)
