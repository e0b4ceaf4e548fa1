"""Does the vector of a user's long window find the vector of his own short window among those of all others?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.errors import TfrecError
from tfrec.evaluation.bootstrap import percentile_interval, resampled_means

RECALLS = (1, 10)
_CHUNK_BYTES = 64 * 2**20
_WIDEST = 2**16
"""Columns that the sparse vectors of a chunk are taken to have at most."""
_BINS = 50

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class UserRetrieval:
    """What was found out about every user; ties count against the model.

    Attributes:
        owner: Number of the user of every row, from 0, `[users]`.
        rank: Rank of the own short vector among all, from 1, `[users]`.
        candidates: Number of short vectors he is compared with, the own one included, `[users]`.
        accuracy: Share of the others whose short vector is less similar than the own one, `[users]`.
        own: Cosine with the own short vector, `[users]`.
        other: Mean cosine with those of all others, `[users]`.
        bpr: Mean of `-log sigmoid(own - other)` over all others, `[users]`.
        histogram: Number of own and of other cosines in each of 50 bins from -1 to 1, `[2, 50]`.
    """

    owner: NDArray[np.int64]
    rank: NDArray[np.int64]
    candidates: NDArray[np.int64]
    accuracy: Floats
    own: Floats
    other: Floats
    bpr: Floats
    histogram: NDArray[np.int64]

    def gains(self, recalls: Sequence[int] = RECALLS) -> dict[str, NDArray[np.float64]]:
        """Returns what each user contributes to every metric, `[users]`."""
        found = {f"user_recall@{k}": (self.rank <= k).astype(np.float64) for k in recalls}
        return {
            **found,
            "user_mrr": 1.0 / self.rank,
            "pairwise_accuracy": self.accuracy.astype(np.float64),
            "own_cosine": self.own.astype(np.float64),
            "other_cosine": self.other.astype(np.float64),
            "gap": (self.own - self.other).astype(np.float64),
            "bpr": self.bpr.astype(np.float64),
        }

    def metrics(self, recalls: Sequence[int] = RECALLS) -> dict[str, float]:
        """Returns the metrics: means over users."""
        return {name: float(values.mean()) for name, values in self.gains(recalls).items()}

    def chance(self, recalls: Sequence[int] = RECALLS) -> dict[str, float]:
        """Returns what random vectors have on average."""
        size = self.candidates.astype(np.float64)
        sizes, times = np.unique(self.candidates, return_counts=True)
        harmonic = np.cumsum(1.0 / np.arange(1, sizes.max() + 1))
        return {
            **{f"user_recall@{k}": float(np.minimum(k / size, 1.0).mean()) for k in recalls},
            "user_mrr": float((harmonic[sizes - 1] / sizes * times).sum() / times.sum()),
            "pairwise_accuracy": 0.5,
        }

    def intervals(self, settings: BootstrapConfig) -> dict[str, dict[str, float]]:
        """Returns intervals of all metrics, see `mean_intervals`."""
        return mean_intervals(self.gains(), self.owner, settings)

    def similarity(self) -> dict[str, Any]:
        """Returns the histogram as JSON: `edges`, `own`, `other`."""
        edges = np.linspace(-1.0, 1.0, _BINS + 1)
        return {"edges": edges.tolist(), "own": self.histogram[0].tolist(), "other": self.histogram[1].tolist()}


def retrieve_users(long: Any, short: Any, owner: NDArray[Any]) -> UserRetrieval:
    """Compares every long vector with all short vectors, some at a time: exact, in memory linear in users.

    Args:
        long: Vectors of long windows, `[users, dim]`, dense or sparse; scaled to length 1 here.
        short: Vectors of short windows, `[users, dim]`.
        owner: Whom a row belongs to, `[users]`; other rows of the same user are no candidates.

    Returns:
        Ranks and similarities of every user.

    Raises:
        TfrecError: There are fewer than two users, or a vector is not finite.
    """
    queries, keys = _unit(long), _unit(short)
    count = queries.shape[0]
    users, owner = np.unique(owner, return_inverse=True)
    if len(users) < 2:
        raise TfrecError(
            "There are fewer than two users with a long and a short window: nothing can be compared.",
            remedy="Measure a split with more users.",
        )
    if not all(np.isfinite(part.data if scipy.sparse.issparse(part) else part).all() for part in (queries, keys)):
        raise TfrecError("A user's vector is not finite.", remedy="The model has diverged or is damaged.")
    columns: dict[str, list[Floats]] = {name: [] for name in ("beaten", "size", "own", "other", "bpr")}
    histogram = np.zeros((2, _BINS), np.int64)
    edges = np.linspace(-1.0, 1.0, _BINS + 1)
    chunk = max(1, _CHUNK_BYTES // (4 * max(count, min(queries.shape[1], _WIDEST))))
    for start in range(0, count, chunk):
        rows = slice(start, start + chunk)
        cosine = _products(queries[rows], keys)  # [chunk, users]
        place = np.arange(start, start + len(cosine))
        own = np.take_along_axis(cosine, place[:, np.newaxis], axis=1)  # [chunk, 1]
        rival = owner[rows, np.newaxis] != owner  # [chunk, users]
        size = rival.sum(axis=1)
        columns["beaten"].append((rival & (cosine < own)).sum(axis=1))
        columns["size"].append(size)
        columns["own"].append(own[:, 0])
        columns["other"].append(np.where(rival, cosine, 0.0).sum(axis=1) / np.maximum(size, 1))
        losses = np.logaddexp(0.0, cosine - own)
        columns["bpr"].append(np.where(rival, losses, 0.0).sum(axis=1) / np.maximum(size, 1))
        histogram[0] += np.histogram(np.clip(own, -1.0, 1.0), edges)[0]
        histogram[1] += np.histogram(np.clip(cosine[rival], -1.0, 1.0), edges)[0]
    found = {name: np.concatenate(parts) for name, parts in columns.items()}
    size, beaten = found["size"].astype(np.int64), found["beaten"].astype(np.int64)
    return UserRetrieval(
        owner=owner,
        rank=1 + size - beaten,
        candidates=1 + size,
        accuracy=beaten / np.maximum(size, 1),
        own=found["own"],
        other=found["other"],
        bpr=found["bpr"],
        histogram=histogram,
    )


def mean_intervals(
    gains: Mapping[str, NDArray[np.float64]], owner: NDArray[np.int64], settings: BootstrapConfig
) -> dict[str, dict[str, float]]:
    """Returns `low` and `high` of means by resampling users, with all rows of each; empty without resamples.

    Args:
        gains: What each row contributes to every mean, `[rows]`.
        owner: Number of the user of every row, from 0, `[rows]`.
        settings: How intervals are made.
    """
    if not settings.samples:
        return {}
    estimates = resampled_means(gains, owner, samples=settings.samples, seed=settings.seed)
    found = {}
    for name, values in gains.items():
        bounds = percentile_interval(name, float(values.mean()), estimates[name], settings.confidence)
        found[name] = {"low": bounds.low, "high": bounds.high}
    return found


def _products(queries: Any, keys: Any) -> NDArray[np.float32]:
    """Returns all inner products, `[queries, keys]`; of sparse rows, only columns of these queries are looked at."""
    if scipy.sparse.issparse(queries):
        used = np.unique(queries.indices)
        found: NDArray[np.float32] = (keys[:, used] @ queries[:, used].toarray().T).T
        return found
    return np.asarray(queries @ keys.T)


def _unit(vectors: Any) -> Any:
    """Returns float32 rows of length 1, dense or sparse as they are."""
    if scipy.sparse.issparse(vectors):
        rows = scipy.sparse.csr_matrix(vectors, dtype=np.float64)
        lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)))  # [users, 1]
        return scipy.sparse.csr_matrix(rows.multiply(1.0 / np.maximum(lengths, 1e-12)), dtype=np.float32)
    wide = np.asarray(vectors, np.float64)
    return (wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)).astype(np.float32)
