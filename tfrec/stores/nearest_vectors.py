"""Similarity search in a matrix of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError

Metric = Literal["cosine", "dot"]


@dataclass(frozen=True)
class Neighbour:
    """A vector near another.

    Attributes:
        id: Raw id.
        score: Cosine, or product.
    """

    id: Any
    score: float


class NearestVectors:
    """Exact search by cosine or product.

    Args:
        ids: Raw ids `[n]`.
        vectors: float32 `[n, dim]`.
        bias_appended: Whether the last component is a bias, which cosines leave out.
    """

    def __init__(self, ids: list[Any], vectors: NDArray[np.float32], *, bias_appended: bool = False) -> None:
        self.ids = ids
        self.vectors = vectors
        self._own = vectors.shape[1] - int(bias_appended)
        self._norms = np.sqrt(np.einsum("nd,nd->n", vectors[:, : self._own], vectors[:, : self._own]))  # [n]
        self._rows: dict[Any, int] = {}

    def row(self, identity: Any) -> int | None:
        """Returns the row of an id, None when there is none."""
        if not self._rows:
            self._rows = {one: row for row, one in enumerate(self.ids)}
        return self._rows.get(identity)

    def search(
        self, query: NDArray[np.float32], k: int, *, metric: Metric = "cosine", without: int | None = None
    ) -> list[Neighbour]:
        """Returns the k best, equal scores in the order of the rows.

        Args:
            query: float32 `[dim]`.
            k: How many; fewer when there are not as many vectors.
            metric: `cosine` or `dot`. The cosine with a zero vector is 0.
            without: A row that is left out.

        Raises:
            ConfigError: The query has another number of components, or `k` is below 1.
        """
        if query.shape != (self.vectors.shape[1],):
            raise ConfigError(
                f"The query has shape {query.shape}, the vectors have {self.vectors.shape[1]} components."
            )
        if k < 1:
            raise ConfigError(f"`k` must be at least 1, received {k}.")
        if metric == "dot":
            scores = self.vectors @ query  # [n]
        else:
            own = query[: self._own]
            length = self._norms * np.sqrt(own @ own)  # [n]
            products = self.vectors[:, : self._own] @ own
            scores = np.divide(products, length, out=np.zeros_like(products), where=length > 0)
        if without is not None:
            scores[without] = -np.inf
        k = min(k, len(scores) - (without is not None))
        if k < 1:
            return []
        limit = np.partition(scores, len(scores) - k)[len(scores) - k]
        rows = np.flatnonzero(scores >= limit)
        best = rows[np.argsort(-scores[rows], kind="stable")][:k]
        return [Neighbour(self.ids[row], float(scores[row])) for row in best.tolist()]
