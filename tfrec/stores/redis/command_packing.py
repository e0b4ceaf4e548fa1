"""Commands over many keys as bytes of the Redis protocol, made by whole arrays instead of key by key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tfrec.stores.vector_encoding import Values

Packed = tuple[bytes | NDArray[np.uint8], int]
"""Bytes to send and how many replies they bring."""


class RawIds:
    """Raw ids as the bytes they have in keys.

    Args:
        ids: int64 or string, `[n]`.

    Attributes:
        data: All bytes, one id after the other.
        lengths: Bytes of each, `[n]`.
    """

    def __init__(self, ids: pa.Array) -> None:
        text = ids.cast(pa.string())
        _, offsets, data = text.buffers()
        ends = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1] if len(text) else np.zeros(1)
        first, last = int(ends[0]), int(ends[-1])
        self.data: NDArray[np.uint8] = np.frombuffer(data or b"", np.uint8)[first:last]
        self.starts: NDArray[np.int64] = ends[:-1].astype(np.int64) - first  # [n]
        self.lengths: NDArray[np.int64] = np.diff(ends).astype(np.int64)  # [n]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> bytes:
        start = int(self.starts[row])
        return self.data[start : start + int(self.lengths[row])].tobytes()


class CommandPacker:
    """Packs commands whose keys are `head + id + tail`.

    Vectors of one version are equally long. So are the records of ids of equal length: they form a matrix of bytes
    whose columns are constant, the digits of the ids, or the vectors, and each is filled at once. That is some ten
    times as fast as packing key by key.

    Args:
        head: What precedes the id in a key.
        tail: What follows it.
        keys_per_command: Keys of one command. The server answers nobody else while it executes one.
    """

    def __init__(self, head: str, tail: str, *, keys_per_command: int = 1000) -> None:
        self._head, self._tail = head.encode(), tail.encode()
        self._keys = keys_per_command

    def mset(self, ids: RawIds, values: Values) -> Iterator[Packed]:
        """Yields MSET commands."""
        for rows, body in self._bodies(ids, values, b"", b""):
            yield _joined(b"*%d\r\n$4\r\nMSET\r\n" % (2 * rows + 1), body), 1

    def set_until(self, ids: RawIds, values: Values, expires_at: int) -> Iterator[Packed]:
        """Yields SET commands whose keys expire at a time, in milliseconds since 1970."""
        moment = str(expires_at).encode()
        after = b"$4\r\nPXAT\r\n$%d\r\n%b\r\n" % (len(moment), moment)
        for rows, body in self._bodies(ids, values, b"*5\r\n$3\r\nSET\r\n", after):
            yield _joined(b"", body), rows

    def exists(self, ids: RawIds) -> Iterator[tuple[NDArray[np.uint8], int]]:
        """Yields EXISTS commands and the number of keys of each, which is what the server must answer."""
        for rows, body in self._bodies(ids, None, b"", b""):
            yield _joined(b"*%d\r\n$6\r\nEXISTS\r\n" % (rows + 1), body), rows

    def _bodies(
        self, ids: RawIds, values: Values | None, before: bytes, after: bytes
    ) -> Iterator[tuple[int, list[NDArray[np.uint8]]]]:
        order = np.argsort(ids.lengths, kind="stable")  # [n]
        for start in range(0, len(order), self._keys):
            rows = order[start : start + self._keys]
            if isinstance(values, list):
                yield len(rows), [np.frombuffer(self._of_any_length(ids, values, rows, before, after), np.uint8)]
                continue
            lengths = ids.lengths[rows]
            cuts = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(rows)]
            parts = []
            for first, last in itertools.pairwise(cuts):
                group = rows[first:last]
                chosen = None if values is None else values[group]
                parts.append(self._of_one_length(ids, int(lengths[first]), group, chosen, before, after))
            yield len(rows), parts

    def _of_one_length(
        self,
        ids: RawIds,
        length: int,
        rows: NDArray[np.int64],
        values: NDArray[np.uint8] | None,
        before: bytes,
        after: bytes,
    ) -> NDArray[np.uint8]:
        key = len(self._head) + length + len(self._tail)
        pieces: list[bytes | NDArray[np.uint8]] = [before + b"$%d\r\n" % key + self._head]
        pieces.append(ids.data[ids.starts[rows][:, np.newaxis] + np.arange(length)])  # [rows, length]
        if values is None:
            pieces.append(self._tail + b"\r\n" + after)
        else:
            pieces += [self._tail + b"\r\n$%d\r\n" % values.shape[1], values, b"\r\n" + after]
        widths = [len(piece) if isinstance(piece, bytes) else piece.shape[1] for piece in pieces]
        records = np.empty((len(rows), sum(widths)), np.uint8)
        at = 0
        for piece, width in zip(pieces, widths, strict=True):
            records[:, at : at + width] = np.frombuffer(piece, np.uint8) if isinstance(piece, bytes) else piece
            at += width
        return records.reshape(-1)

    def _of_any_length(
        self, ids: RawIds, values: list[bytes], rows: NDArray[np.int64], before: bytes, after: bytes
    ) -> bytes:
        records = []
        for row in rows.tolist():
            key, value = self._head + ids[row] + self._tail, values[row]
            records.append(b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n%b" % (before, len(key), key, len(value), value, after))
        return b"".join(records)


def _joined(command: bytes, parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate([np.frombuffer(command, np.uint8), *parts])
