"""Where vectors to be published come from."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.stores.vector_description import VectorDescription


class VectorSource(Protocol):
    """Vectors with their raw ids, read in pieces and any number of times; ids are unique."""

    @property
    def description(self) -> VectorDescription:
        """What the vectors are."""

    def ids(self, start: int, stop: int) -> pa.Array:
        """Returns raw ids, int64 or string `[stop - start]`."""

    def vectors(self, start: int, stop: int) -> NDArray[np.float32]:
        """Returns vectors, float32 `[stop - start, dim]`."""


class ArraySource:
    """Vectors in memory.

    Args:
        description: What they are; `count`, `dim` and `id_type` are taken from the arrays.
        ids: Raw ids, an arrow array of int64 or string, or a sequence.
        vectors: float `[count, dim]`.

    Raises:
        DataError: Lengths differ, or an id occurs twice.
    """

    def __init__(self, description: VectorDescription, ids: Any, vectors: NDArray[Any]) -> None:
        self._ids: pa.Array = ids if isinstance(ids, pa.Array) else pa.array(ids)
        self._vectors = np.asarray(vectors, np.float32)
        if self._vectors.ndim != 2 or len(self._ids) != len(self._vectors):
            raise DataError(f"There are {len(self._ids)} ids for vectors of shape {self._vectors.shape}.")
        if pc.count_distinct(self._ids).as_py() != len(self._ids):
            raise DataError("An id occurs twice.", remedy="Every id can have one vector only.")
        self._description = description.model_copy(
            update={
                "count": len(self._ids),
                "dim": self._vectors.shape[1],
                "id_type": "int64" if pa.types.is_integer(self._ids.type) else "string",
            }
        )

    @property
    def description(self) -> VectorDescription:
        return self._description

    def ids(self, start: int, stop: int) -> pa.Array:
        return self._ids[start:stop]

    def vectors(self, start: int, stop: int) -> NDArray[np.float32]:
        return self._vectors[start:stop]
