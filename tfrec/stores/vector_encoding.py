"""Vectors as stored values and back."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.stores.store_errors import VectorsMismatchError
from tfrec.stores.vector_header import Encoding

Values = NDArray[np.uint8] | list[bytes]
"""Stored values: equally long ones as bytes `[n, width]`, others as a list."""

_HALF = np.dtype("<f2")
_SINGLE = np.dtype("<f4")


def encode_vectors(vectors: NDArray[np.float32], encoding: Encoding) -> Values:
    """Returns what is stored for vectors.

    JSON numbers have as many digits as it takes to tell float32 values apart: the round trip is exact.

    Args:
        vectors: float32 `[n, dim]`.
        encoding: See `VectorHeader`.

    Returns:
        uint8 `[n, width]`, or one JSON list per vector.

    Raises:
        DataError: A component is not finite, or beyond what float16 holds.
    """
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise DataError(
            f"The vector {row + 1} of this piece is not finite.", remedy="The model has diverged or is damaged."
        )
    if encoding == "json":
        flat = pa.array(vectors.reshape(-1)).cast(pa.string())  # [n * dim]
        offsets = pa.array(np.arange(len(vectors) + 1, dtype=np.int32) * np.int32(vectors.shape[1]))
        rows = pc.binary_join(pa.ListArray.from_arrays(offsets, flat), ", ")
        return [f"[{row}]".encode() for row in rows.to_pylist()]
    if encoding == "float32":
        return _bytes(np.ascontiguousarray(vectors, _SINGLE))
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(vectors, _HALF)
    if not np.isfinite(half).all():
        raise DataError("A component is beyond 65,504, the limit of float16.", remedy="Use --format float32.")
    return _bytes(half)


def decode_vectors(values: Sequence[bytes], encoding: Encoding, dim: int) -> NDArray[np.float32]:
    """Returns vectors, float32 `[n, dim]`.

    Raises:
        VectorsMismatchError: A value is not a vector of `dim` components.
    """
    if encoding == "json":
        try:
            lists = [json.loads(value) for value in values]
            good = all(isinstance(numbers, list) and len(numbers) == dim for numbers in lists)
            if good:
                return np.array(lists, np.float32).reshape(len(values), dim)
        except ValueError:
            pass
        raise VectorsMismatchError(f"A stored value is not a JSON list of {dim} numbers.", remedy=_REMEDY)
    stored = _SINGLE if encoding == "float32" else _HALF
    width = dim * stored.itemsize
    wrong = next((len(value) for value in values if len(value) != width), None)
    if wrong is not None:
        raise VectorsMismatchError(
            f"A stored value has {wrong} bytes; {encoding} vectors of {dim} components have {width}.", remedy=_REMEDY
        )
    return np.frombuffer(b"".join(values), stored).astype(np.float32).reshape(len(values), dim)


_REMEDY = "Something else wrote to these keys, or the header is of other vectors: publish again."


def _bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    return array.view(np.uint8).reshape(len(array), -1)
