"""The mapping between raw ids and indices."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.errors import DataError

PADDING_INDEX = 0
OOV_INDEX = 1
FIRST_INDEX = 2


class Vocabulary:
    """Raw ids in index order with the number of training events of each.

    Index 0 is padding, 1 is out of vocabulary; the id at position i of `ids` has index i + 2. Ids are int64 or strings
    and come back exactly as they were in the log.

    Args:
        ids: Raw ids in index order, an arrow array of int64 or string.
        counts: Number of training events of each id, `[len(ids)]`.

    Attributes:
        size: Number of ids + 2.
        ids: Raw ids, numpy int64 or object (str), `[size - 2]`.
        counts: Training events by index, int64 `[size]`; 0 for padding and out of vocabulary.

    Example:
        >>> vocabulary = Vocabulary(pa.array([7, 3]), np.array([5, 2]))
        >>> vocabulary.lookup([3, 7, 99]).tolist()
        [3, 2, 1]
    """

    def __init__(self, ids: pa.Array, counts: npt.ArrayLike) -> None:
        self._array: pa.Array = ids
        self.id_type: Literal["int64", "string"] = "int64" if pa.types.is_int64(ids.type) else "string"
        self.size: int = len(ids) + FIRST_INDEX
        self.ids: npt.NDArray[Any] = ids.to_numpy(zero_copy_only=False)  # [size - 2]
        self.counts: npt.NDArray[np.int64] = np.concatenate(
            [np.zeros(FIRST_INDEX, np.int64), np.asarray(counts, np.int64)]
        )  # [size]
        self._content_hash: str | None = None

    def lookup(self, raw_ids: Sequence[Any] | npt.NDArray[Any] | pa.Array) -> npt.NDArray[np.int32]:
        """Returns the indices of raw ids; ids that are not in the vocabulary give 1.

        Args:
            raw_ids: Raw ids `[n]`, of the vocabulary's type.

        Returns:
            Indices, int32 `[n]`.

        Raises:
            DataError: The ids are not of the vocabulary's type.
        """
        if not isinstance(raw_ids, pa.Array):
            try:
                raw_ids = pa.array(raw_ids, self._array.type)
            except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError) as error:
                raise DataError(
                    f"Ids of this vocabulary are {self.id_type}; received {str(list(raw_ids[:3]))[:80]}.",
                    remedy="Give the ids in the type of the converted log.",
                ) from error
        found = pc.fill_null(pc.index_in(raw_ids, value_set=self._array), OOV_INDEX - FIRST_INDEX)  # [n]
        indices: npt.NDArray[np.int32] = found.to_numpy(zero_copy_only=False).astype(np.int32) + np.int32(FIRST_INDEX)
        return indices  # [n]

    def raw(self, indices: Sequence[int] | npt.NDArray[Any]) -> list[Any]:
        """Returns the raw ids of indices (int or str); None for padding, out of vocabulary and unknown indices."""
        positions = np.asarray(indices, np.int64) - FIRST_INDEX  # [n]
        inside = (positions >= 0) & (positions < len(self._array))
        taken = self._array.take(pa.array(positions, pa.int64(), mask=~inside))
        values: list[Any] = taken.to_pylist()
        return values

    @property
    def content_hash(self) -> str:
        """sha256 over the id type and the ids in index order."""
        if self._content_hash is None:
            digest = hashlib.sha256(self.id_type.encode())
            if self.id_type == "int64":
                digest.update(self.ids.astype("<i8").tobytes())
            else:
                encoded = [text.encode() for text in self.ids]
                digest.update(np.array([len(text) for text in encoded], "<i8").tobytes())
                digest.update(b"".join(encoded))
            self._content_hash = digest.hexdigest()
        return self._content_hash

    def to_arrow(self) -> pa.Array:
        """Returns the raw ids in index order, `[size - 2]`."""
        return self._array

    def to_parquet(self) -> bytes:
        """Returns the vocabulary file: columns `id`, `index` (int32) and `count` (int64)."""
        table = pa.table(
            {
                "id": self._array,
                "index": pa.array(np.arange(FIRST_INDEX, self.size, dtype=np.int32)),
                "count": pa.array(self.counts[FIRST_INDEX:]),
            }
        )
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        content: bytes = sink.getvalue().to_pybytes()
        return content

    @classmethod
    def from_parquet(cls, content: bytes, *, file: str) -> Vocabulary:
        """Reads a vocabulary file.

        Args:
            content: Bytes of the file.
            file: Name used in error messages.

        Returns:
            The vocabulary.

        Raises:
            DataError: The file is damaged, lacks a column or its indices are not 2, 3, 4, ...
        """
        remedy = "Convert the data again."
        try:
            table = pq.read_table(pa.BufferReader(content)).combine_chunks()
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"Not a readable Parquet file ({error}).", file=file, remedy=remedy) from error
        if table.column_names != ["id", "index", "count"]:
            raise DataError(f"Columns are {table.column_names}, not id, index, count.", file=file, remedy=remedy)
        if not np.array_equal(table["index"].to_numpy(), np.arange(FIRST_INDEX, table.num_rows + FIRST_INDEX)):
            raise DataError("Indices must be 2, 3, 4, ... in order.", file=file, column="index", remedy=remedy)
        ids = table["id"].chunk(0) if table.num_rows else pa.array([], table["id"].type)
        return cls(ids, table["count"].to_numpy())
