"""Columns to serialized tf.Examples, a batch at a time."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class FeatureColumn:
    """One feature of a batch of examples.

    Attributes:
        name: Feature name.
        values: int64 `[values]`, or uint8 `[bytes]` for strings.
        offsets: Example n has the values (or, for one string per example, the bytes) `offsets[n]` to `offsets[n + 1]`,
            int64 `[examples + 1]`.
    """

    name: str
    values: Ints | Bytes
    offsets: Ints


class ExampleEncoder(Protocol):
    """Anything that turns columns into serialized examples."""

    def encode(self, columns: list[FeatureColumn]) -> list[bytes]:
        """Returns one serialized tf.Example per row."""


def best_encoder() -> ExampleEncoder:
    """Returns the encoder of tfx_bsl when it is installed, else our own; both give the same examples."""
    try:
        return TfxBslEncoder()
    except ImportError:
        return NumpyEncoder()


class TfxBslEncoder:
    """Encoder of tfx_bsl (C++).

    Raises:
        ImportError: tfx_bsl is not installed.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():  # its dependencies warn about the age of Python
            warnings.simplefilter("ignore")
            from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

        self._encoder = RecordBatchToExamplesEncoder()

    def encode(self, columns: list[FeatureColumn]) -> list[bytes]:
        """Returns one serialized tf.Example per row."""
        arrays = []
        for column in columns:
            rows = len(column.offsets) - 1
            if column.values.dtype == np.uint8:
                buffers = [None, pa.py_buffer(column.offsets), pa.py_buffer(column.values)]
                values = pa.LargeBinaryArray.from_buffers(pa.large_binary(), rows, buffers)
                offsets = np.arange(rows + 1, dtype=np.int64)
            else:
                values, offsets = pa.array(column.values), column.offsets
            arrays.append(pa.LargeListArray.from_arrays(pa.array(offsets), values))
        batch = pa.RecordBatch.from_arrays(arrays, [column.name for column in columns])
        encoded: list[bytes] = self._encoder.encode(batch)
        return encoded


class NumpyEncoder:
    """Vectorised encoder of the tf.Example wire format in numpy; the work per batch is a few passes over its bytes.

    An Example is a Features message (field 1) with one map entry (field 1) per feature: key (field 1) and Feature
    (field 2), which holds an Int64List (field 3) of packed varints or a BytesList (field 1).
    """

    def encode(self, columns: list[FeatureColumn]) -> list[bytes]:
        """Returns one serialized tf.Example per row."""
        rows = len(columns[0].offsets) - 1
        pieces: list[Any] = []
        for column in columns:
            pieces.extend(_entry(column))
        lengths = [_piece_lengths(piece, rows) for piece in pieces]
        total = np.sum(lengths, axis=0, dtype=np.int64)  # [rows]
        pieces[:0] = [b"\x0a", _Varints(total)]
        lengths[:0] = [_piece_lengths(piece, rows) for piece in pieces[:2]]
        ends = np.cumsum(np.sum(lengths, axis=0, dtype=np.int64))
        position = np.concatenate([np.zeros(1, np.int64), ends[:-1]])  # [rows]
        out = np.zeros(int(ends[-1]) if rows else 0, np.uint8)
        for piece, length in zip(pieces, lengths, strict=True):
            _put(out, position, piece, length)
            position = position + length
        data = out.tobytes()
        bounds = [0, *ends.tolist()]
        return [data[start:end] for start, end in itertools.pairwise(bounds)]


@dataclass(frozen=True)
class _Varints:
    """One varint per row."""

    values: Ints


@dataclass(frozen=True)
class _Payload:
    """A run of bytes per row."""

    data: Bytes
    offsets: Ints


def _entry(column: FeatureColumn) -> list[Any]:
    """The pieces of one map entry: bytes equal in all rows, one varint per row, or a payload."""
    name = column.name.encode()
    if column.values.dtype == np.uint8:
        payload, list_field = _Payload(column.values.view(np.uint8), column.offsets), b"\x0a"
    else:
        payload, list_field = _packed(column.values.astype(np.int64, copy=False), column.offsets), b"\x1a"
    size = np.diff(payload.offsets)  # [rows]
    list_size = 1 + _varint_size(size) + size
    feature_size = 1 + _varint_size(list_size) + list_size
    key = b"\x0a" + _varint(len(name)) + name
    entry_size = len(key) + 1 + _varint_size(feature_size) + feature_size
    return [
        b"\x0a",
        _Varints(entry_size),
        key + b"\x12",
        _Varints(feature_size),
        list_field,
        _Varints(list_size),
        b"\x0a",
        _Varints(size),
        payload,
    ]


def _packed(values: Ints, offsets: Ints) -> _Payload:
    """The values of every row as packed varints."""
    sizes = _varint_size(values)  # [values]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    data = np.zeros(int(ends[-1]), np.uint8)
    _put_varints(data, ends[:-1], values, sizes)
    return _Payload(data, ends[offsets])


def _varint_size(values: Ints) -> Ints:
    """Bytes of each varint: one per 7 bits, 10 for negative numbers."""
    unsigned = values.view(np.uint64)
    size = np.ones(len(values), np.int64)
    limit, largest = 1 << 7, int(unsigned.max()) if len(values) else 0
    while limit <= largest and limit < 1 << 64:
        size += unsigned >= np.uint64(limit)
        limit <<= 7
    return size


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _put_varints(out: Bytes, position: Ints, values: Ints, sizes: Ints) -> None:
    rest = values.view(np.uint64)
    for byte in range(int(sizes.max()) if len(sizes) else 0):
        inside = sizes > byte
        if not inside.all():
            position, rest, sizes = position[inside], rest[inside], sizes[inside]
        more = (sizes > byte + 1).astype(np.uint8) << 7
        out[position + byte] = (rest & np.uint64(127)).astype(np.uint8) | more
        rest = rest >> np.uint64(7)


def _piece_lengths(piece: Any, rows: int) -> Ints:
    if isinstance(piece, bytes):
        return np.full(rows, len(piece), np.int64)
    if isinstance(piece, _Varints):
        return _varint_size(piece.values)
    return np.diff(piece.offsets)


def _put(out: Bytes, position: Ints, piece: Any, length: Ints) -> None:
    if isinstance(piece, bytes):
        for number, byte in enumerate(piece):
            out[position + number] = byte
    elif isinstance(piece, _Varints):
        _put_varints(out, position, piece.values, length)
    elif len(piece.data):
        # Row n's bytes move from its start in the payload to its position in the output.
        shift = np.repeat(position - piece.offsets[:-1], length)
        out[np.arange(piece.offsets[0], piece.offsets[-1]) + shift] = piece.data[piece.offsets[0] : piece.offsets[-1]]
