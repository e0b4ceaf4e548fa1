"""A store of vectors in memory, for tests and for trying things out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError
from tfrec.stores.nearest_vectors import Metric, NearestVectors, Neighbour
from tfrec.stores.store_errors import StoreError, VectorsMismatchError
from tfrec.stores.vector_description import Kind
from tfrec.stores.vector_header import VectorHeader
from tfrec.stores.vector_source import VectorSource
from tfrec.stores.vector_store import Published, Report, VectorBatch

_Version = tuple[VectorHeader, NearestVectors]


class MemoryStore:
    """`VectorStore` within one process.

    Args:
        keep: Versions kept by `publish`.

    Example:
        >>> from tfrec.stores.vector_description import VectorDescription
        >>> from tfrec.stores.vector_source import ArraySource
        >>> description = VectorDescription(kind="items", count=2, dim=2, id_type="int64")
        >>> store = MemoryStore()
        >>> _ = store.publish([ArraySource(description, [7, 8], np.eye(2))])
        >>> store.reader("items").get(8).tolist()
        [0.0, 1.0]
    """

    def __init__(self, *, keep: int = 2) -> None:
        self._keep = keep
        self._counter = 0
        self._history: dict[str, list[_Version]] = {}  # the live version first

    def publish(self, sources: Sequence[VectorSource], report: Report | None = None) -> list[Published]:
        started = time.perf_counter()
        self._counter += 1
        new = []
        for source in sources:
            about = source.description
            names = {"version": str(self._counter), "switch": self._counter}
            header = VectorHeader(**about.model_dump(), **names, state="complete")
            vectors = np.array(source.vectors(0, about.count), np.float32)
            ids = source.ids(0, about.count).to_pylist()
            new.append((header, NearestVectors(ids, vectors, bias_appended=about.bias_appended)))
        published = []
        for header, vectors_of in new:
            history = self._history.setdefault(header.kind, [])
            previous = history[0][0].version if history else None
            history.insert(0, (header, vectors_of))
            if report is not None:
                report("live", header.kind, header.count, header.count)
            seconds = time.perf_counter() - started
            pruned = self.prune(header.kind, self._keep)
            size = vectors_of.vectors.nbytes
            published.append(Published(header, previous, size, header.count, 0, seconds, 0, pruned))
        return published

    def rollback(self, kinds: Sequence[Kind]) -> list[tuple[str, str]]:
        for kind in kinds:
            if len(self._history.get(kind, [])) < 2:
                raise StoreError(f"There is no version of the {kind} vectors to go back to.")
        if len({self._history[kind][0][0].switch for kind in kinds}) > 1:
            raise StoreError("The live versions were published apart.", remedy="Roll back the newest kind alone first.")
        withdrawn = [self._history[kind].pop(0)[0].version for kind in kinds]
        return [(old, self.live(kind)[0].version) for old, kind in zip(withdrawn, kinds, strict=True)]

    def prune(self, kind: Kind, keep: int) -> list[str]:
        history = self._history.get(kind, [])
        removed = [header.version for header, _ in history[keep:]]
        del history[keep:]
        return removed

    def reader(self, kind: Kind) -> MemoryReader:
        return MemoryReader(self, kind)

    def live(self, kind: Kind) -> _Version:
        """Returns header and vectors of the live version.

        Raises:
            VectorsMismatchError: Nothing was published.
        """
        history = self._history.get(kind)
        if not history:
            raise VectorsMismatchError(f"No {kind} vectors were published.")
        return history[0]


class MemoryReader:
    """`VectorReader` of a `MemoryStore`.

    Args:
        store: The store.
        kind: What to read.
    """

    def __init__(self, store: MemoryStore, kind: Kind) -> None:
        self._store = store
        self._kind: Kind = kind
        self._read = store.live(kind)

    @property
    def header(self) -> VectorHeader:
        return self._read[0]

    @property
    def version(self) -> str:
        return self.header.version

    def is_stale(self) -> bool:
        return self._store.live(self._kind)[0].version != self.version

    def get(self, identity: Any) -> NDArray[np.float32] | None:
        batch = self.get_many([identity])
        return batch.vectors[0] if batch.found[0] else None

    def get_many(self, ids: Sequence[Any]) -> VectorBatch:
        self._read = header, vectors = self._store.live(self._kind)
        rows = [vectors.row(identity) for identity in ids]
        found = np.array([row is not None for row in rows], np.bool_)
        taken = np.zeros((len(rows), header.dim), np.float32)
        taken[found] = vectors.vectors[[row for row in rows if row is not None]]
        return VectorBatch(header.version, taken, found)

    def top_k(self, query: Any, k: int = 10, *, metric: Metric = "cosine") -> list[Neighbour]:
        self._read = _, vectors = self._store.live(self._kind)
        if isinstance(query, np.ndarray):
            return vectors.search(np.asarray(query, np.float32), k, metric=metric)
        row = vectors.row(query)
        if row is None:
            raise ConfigError(f"There is no vector of `{query}`.")
        return vectors.search(vectors.vectors[row], k, metric=metric, without=row)
