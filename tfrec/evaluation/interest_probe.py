"""What a user's vector is good for elsewhere: telling which categories he turns to next."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_HELD_OUT = 0.25
_TOP = 10
_CHUNK_BYTES = 64 * 2**20

Floats = NDArray[np.floating[Any]]


def probe_interests(train: Floats, train_counts: Any, test: Floats, test_counts: Any) -> NDArray[np.float64]:
    """Predicts the categories of short windows from vectors of long ones by ridge regression.

    The penalty is chosen on a quarter of the training users.

    Args:
        train: Vectors of the long windows of training users, `[users, dim]`.
        train_counts: Events of their short windows by category, sparse `[users, categories]`; never made dense.
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
        hits = _hit_share(inputs[cut:], weights, centre, targets[cut:])
        scores[penalty] = float(hits.mean()) if cut < len(inputs) else 0.0
    best = max(scores, key=lambda penalty: scores[penalty])
    weights, centre = _fit(inputs, targets, best)
    return _hit_share(others, weights, centre, _shares(test_counts))


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


def _fit(inputs: Floats, targets: Any, penalty: float) -> tuple[Floats, Floats]:
    """Returns weights `[dim, categories]` and what is added, `[categories]`."""
    centre = _wide(targets.mean(axis=0)).ravel()
    gram = inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[1])
    moments = _wide((targets.T @ inputs).T) - np.outer(inputs.sum(axis=0), centre)
    return np.linalg.solve(gram, moments), centre


def _hit_share(inputs: Floats, weights: Floats, centre: Floats, targets: Any) -> NDArray[np.float64]:
    """Returns the shares of the targets in the categories predicted first, `[users]`; so many users at a time."""
    found = np.zeros(len(inputs))
    chunk = max(1, _CHUNK_BYTES // (8 * len(centre)))
    for start in range(0, len(inputs), chunk):
        rows = slice(start, start + chunk)
        predicted = inputs[rows] @ weights + centre  # [chunk, categories]
        first = np.argsort(-predicted, axis=1, kind="stable")[:, :_TOP]
        place = np.repeat(np.arange(len(first)), first.shape[1])
        hits = _wide(targets[rows][place, first.ravel()]).reshape(first.shape)
        found[rows] = hits.sum(axis=1)
    return found


def _shares(counts: Any) -> Any:
    rows = scipy.sparse.csr_matrix(counts, dtype=np.float64)
    return scipy.sparse.csr_matrix(rows.multiply(1.0 / np.maximum(_wide(rows.sum(axis=1)), 1.0)))


def _wide(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)
