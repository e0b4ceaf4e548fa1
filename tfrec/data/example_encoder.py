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
Floats = npt.NDArray[np.float32]

_LONG = 64
"""Mean bytes per row from which on a row is copied by itself."""


@dataclass(frozen=True)
class FeatureColumn:
    """One feature of a batch of examples.

    Attributes:
        name: Feature name.
        values: int64 or float32 `[values]`, or uint8 `[bytes]` for strings.
        offsets: Example n has the values (or, for one string per example, the bytes) `offsets[n]` to `offsets[n + 1]`,
            int64 `[examples + 1]`.
    """

    name: str
    values: Ints | Floats | Bytes
    offsets: Ints


def string_column(name: str, array: pa.Array) -> FeatureColumn:
    """Returns the feature of one string per example."""
    array = array.cast(pa.large_binary())
    _, offset_buffer, data = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    values = np.frombuffer(data, np.uint8)[first:last] if data is not None else np.zeros(0, np.uint8)
    return FeatureColumn(name, values, offsets - first)


class ExampleEncoder(Protocol):
    """Anything that turns columns into serialized examples."""

    def encode(self, columns: list[FeatureColumn]) -> list[bytes]:
        """Returns one serialized tf.Example per row."""


class TfxBslEncoder:
    """Encoder of tfx_bsl (C++): somewhat faster, but the order of features in an example differs between processes.

    `convert` does not use it by default because it promises the same bytes for the same input.

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
    """Vectorised encoder of the tf.Example wire format in numpy, with features in the order given.

    An Example is a Features message (field 1) with one map entry (field 1) per feature: key (field 1) and Feature
    (field 2), which holds an Int64List (field 3) of packed varints, a FloatList (field 2) of packed little-endian
    numbers or a BytesList (field 1).
    """

    def encode(self, columns: list[FeatureColumn]) -> list[bytes]:
        """Returns one serialized tf.Example per row."""
        rows = len(columns[0].offsets) - 1
        pieces: list[Any] = []
        for fixed, group in itertools.groupby(columns, lambda column: _has_fixed_width(column, rows)):
            if fixed:
                pieces.append(_FixedWidth(list(group), rows))
                continue
            for column in group:
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


def _has_fixed_width(column: FeatureColumn, rows: int) -> bool:
    """Whether a column has one number or one small index per row, so that all rows take as many bytes."""
    if len(column.values) != rows or column.values.dtype.kind not in "fi" or rows == 0:
        return False
    if column.offsets[0] != 0 or np.any(np.diff(column.offsets) != 1):
        return False
    return column.values.dtype.kind == "f" or bool((column.values.view(np.uint64) < 128).all())


class _FixedWidth:
    """The map entries of columns of fixed width: a template of bytes into which every row puts its values."""

    def __init__(self, columns: list[FeatureColumn], rows: int) -> None:
        template, places = bytearray(), []
        for column in columns:
            name, number = column.name.encode(), column.values.dtype.kind == "f"
            size = 4 if number else 1
            feature = bytes([0x12 if number else 0x1A, size + 2, 0x0A, size]) + bytes(size)
            entry = b"\x0a" + _varint(len(name)) + name + b"\x12" + _varint(len(feature)) + feature
            template += b"\x0a" + _varint(len(entry)) + entry
            places.append(len(template) - size)
        block = np.empty((rows, len(template)), np.uint8)
        block[:] = np.frombuffer(bytes(template), np.uint8)
        for column, place in zip(columns, places, strict=True):
            if column.values.dtype.kind == "f":
                packed = np.ascontiguousarray(column.values, "<f4").view(np.uint8)
                block[:, place : place + 4] = packed.reshape(rows, 4)
            else:
                block[:, place] = column.values
        self._block = block
        self.lengths: Ints = np.full(rows, len(template), np.int64)

    def put(self, out: Bytes, position: Ints) -> None:
        """Writes every row's entries to `out` at `position`, `[rows]`."""
        width = self._block.shape[1]
        for row, start in enumerate(position.tolist()):  # one copy of some hundred bytes per row
            out[start : start + width] = self._block[row]


class _Payload:
    """The values of a feature as bytes: strings as they are, integers as packed varints, numbers as four bytes."""

    def __init__(self, column: FeatureColumn) -> None:
        self.field = {"u": b"\x0a", "f": b"\x12", "i": b"\x1a"}[column.values.dtype.kind]
        if self.field == b"\x12":
            packed = np.ascontiguousarray(column.values, "<f4").view(np.uint8)
            column = FeatureColumn(column.name, packed, 4 * column.offsets)
        self.column = column
        self.sizes: Ints | None = None
        self.starts = column.offsets  # where each row begins in the payload, [rows + 1]
        if self.field == b"\x1a":
            self.sizes = _varint_size(column.values)  # [values]
            self.value_starts = np.zeros(len(self.sizes) + 1, np.int64)
            np.cumsum(self.sizes, out=self.value_starts[1:])
            self.starts = self.value_starts[column.offsets]
        self.lengths: Ints = np.diff(self.starts)  # [rows]

    def put(self, out: Bytes, position: Ints) -> None:
        """Writes every row's bytes to `out` at `position`, `[rows]`."""
        first, last = int(self.starts[0]), int(self.starts[-1])
        packed = self.column.values if self.sizes is None else _packed_varints(self.column.values, self.sizes)
        if last - first > _LONG * len(self.lengths):  # long rows: one copy each is faster than one index per byte
            starts = self.starts.tolist()
            for row, start in enumerate(position.tolist()):
                out[start : start + starts[row + 1] - starts[row]] = packed[starts[row] : starts[row + 1]]
        else:
            shift = position - self.starts[:-1]  # [rows]
            out[np.arange(first, last) + np.repeat(shift, self.lengths)] = packed[first:last]


def _entry(column: FeatureColumn) -> list[Any]:
    """The pieces of one map entry: bytes equal in all rows, one varint per row, or a payload."""
    name = column.name.encode()
    payload = _Payload(column)
    size = payload.lengths  # [rows]
    list_size = 1 + _varint_size(size) + size
    feature_size = 1 + _varint_size(list_size) + list_size
    key = b"\x0a" + _varint(len(name)) + name + b"\x12"
    entry_size = len(key) + _varint_size(feature_size) + feature_size
    return [
        b"\x0a",
        _Varints(entry_size),
        key,
        _Varints(feature_size),
        payload.field,
        _Varints(list_size),
        b"\x0a",
        _Varints(size),
        payload,
    ]


def _varint_size(values: npt.NDArray[Any]) -> Ints:
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


def _packed_varints(values: npt.NDArray[Any], sizes: Ints) -> Bytes:
    """Returns varints one after another, `[sum of sizes]`."""
    packed: Bytes
    longest = int(sizes.max()) if len(sizes) else 1
    if longest == 1:
        return values.astype(np.uint8)
    if longest == 2:  # both bytes at once, little-endian
        small = values.astype("<u2")
        more = (small > 127).astype("<u2")
        both = (small & 127) | (more << 7) | (small >> 7 << 8)
        used = (1 | more << 8).astype("<u2").view(bool)
        packed = both.astype("<u2").view(np.uint8)[used]
        return packed
    rest = values.view(np.uint64)
    table = np.empty((len(values), longest), np.uint8)
    for byte in range(longest):
        table[:, byte] = (rest & np.uint64(127)).astype(np.uint8) | ((sizes > byte + 1).view(np.uint8) << 7)
        rest = rest >> np.uint64(7)
    packed = table[np.arange(longest) < sizes[:, np.newaxis]]
    return packed


def _put_varints(out: Bytes, position: Ints, values: npt.NDArray[Any], sizes: Ints) -> None:
    rest = values.view(np.uint64)
    for byte in range(int(sizes.max()) if len(sizes) else 0):
        more = sizes > byte + 1
        low = rest.astype(np.uint8)  # keeps the low 8 bits
        np.bitwise_and(low, 127, out=low)
        np.bitwise_or(low, more.view(np.uint8) << 7, out=low)
        out[position + byte] = low
        if not more.all():
            position, rest, sizes = position[more], rest[more], sizes[more]
        rest = rest >> np.uint64(7)


def _piece_lengths(piece: Any, rows: int) -> Ints:
    if isinstance(piece, bytes):
        return np.full(rows, len(piece), np.int64)
    if isinstance(piece, _Varints):
        return _varint_size(piece.values)
    lengths: Ints = piece.lengths
    return lengths


def _put(out: Bytes, position: Ints, piece: Any, length: Ints) -> None:
    if isinstance(piece, bytes):
        for number, byte in enumerate(piece):
            out[position + number] = byte
    elif isinstance(piece, _Varints):
        _put_varints(out, position, piece.values, length)
    else:
        piece.put(out, position)
