"""What every store of vectors and every reader of one can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tfrec.stores.nearest_vectors import Metric, Neighbour
from tfrec.stores.vector_description import Kind
from tfrec.stores.vector_header import VectorHeader
from tfrec.stores.vector_source import VectorSource

Report = Callable[[str, str, int, int], None]
"""Called with the stage (`write`, `verify`, `switch`, `live`, `prune`), the kind, how many vectors are done, and of how
many."""


@dataclass(frozen=True)
class VectorBatch:
    """Vectors of some ids, all of one version.

    Attributes:
        version: The version.
        vectors: float32 `[n, dim]`; zeros where there is no vector.
        found: Whether there is one, bool `[n]`.
    """

    version: str
    vectors: NDArray[np.float32]
    found: NDArray[np.bool_]


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        header: Header of the version that is now live.
        previous: The version that was live before, None without one.
        value_bytes: Bytes of all stored vectors that were written.
        written: Vectors written.
        resumed: Vectors that an interrupted publication had written.
        seconds: Time it took.
        reconnections: How often the connection broke off.
        pruned: Versions that were removed.
    """

    header: VectorHeader
    previous: str | None
    value_bytes: int
    written: int
    resumed: int
    seconds: float
    reconnections: int = 0
    pruned: list[str] = field(default_factory=list)


class VectorReader(Protocol):
    """Reads the live version."""

    @property
    def header(self) -> VectorHeader:
        """Header of the version read last."""

    @property
    def version(self) -> str:
        """Name of the version read last."""

    def is_stale(self) -> bool:
        """Whether another version has become live since."""

    def get(self, identity: Any) -> NDArray[np.float32] | None:
        """Returns a vector, float32 `[dim]`; None when there is none."""

    def get_many(self, ids: Sequence[Any]) -> VectorBatch:
        """Returns vectors, never of two versions."""

    def top_k(self, query: Any, k: int = 10, *, metric: Metric = "cosine") -> list[Neighbour]:
        """Returns the nearest vectors to a vector or, without itself, to the vector of an id."""


class VectorStore(Protocol):
    """Keeps versions of vectors, of which one per kind is live."""

    def publish(self, sources: Sequence[VectorSource], report: Report | None = None) -> list[Published]:
        """Writes new versions and makes them live together."""

    def rollback(self, kinds: Sequence[Kind]) -> list[tuple[str, str]]:
        """Makes the versions live again that were live before, of all kinds or none.

        Returns:
            Per kind the withdrawn version and the one now live.
        """

    def prune(self, kind: Kind, keep: int) -> list[str]:
        """Removes all but the live version and the `keep - 1` before it; returns the names of those removed."""

    def reader(self, kind: Kind) -> VectorReader:
        """Returns a reader of the live version."""
