"""Serialized examples, read back by tf.train.Example and compared with those of tfx_bsl."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.data.example_encoder import FeatureColumn, NumpyEncoder, TfxBslEncoder

INTEGERS = [0, 1, 127, 128, 16_383, 16_384, 2**31, 2**35 - 1, 2**35, 2**56, 2**63 - 1, -1, -(2**63), 300]


def ints(name: str, rows: list[list[int]]) -> FeatureColumn:
    values = np.array([value for row in rows for value in row], np.int64)
    return FeatureColumn(name, values, np.cumsum([0, *map(len, rows)]))


def texts(name: str, rows: list[bytes]) -> FeatureColumn:
    return FeatureColumn(name, np.frombuffer(b"".join(rows), np.uint8), np.cumsum([0, *map(len, rows)]))


def floats(name: str, rows: list[list[float]]) -> FeatureColumn:
    values = np.array([value for row in rows for value in row], np.float32)
    return FeatureColumn(name, values, np.cumsum([0, *map(len, rows)]))


def decode(serialized: bytes) -> dict[str, list]:
    example = tf.train.Example.FromString(serialized)
    return {
        name: list(feature.bytes_list.value or feature.int64_list.value or feature.float_list.value)
        for name, feature in example.features.feature.items()
    }


def test_bytes_by_hand():
    column = ints("a", [[1, 300]])
    # 300 = 0b10_0101100: low seven bits 0x2c with the continuation bit, then 2.
    packed = b"\x01\xac\x02"
    int64_list = b"\x0a\x03" + packed  # field 1, packed
    feature = b"\x1a\x05" + int64_list  # field 3
    entry = b"\x0a\x01a" + b"\x12\x07" + feature
    features = b"\x0a\x0c" + entry
    assert NumpyEncoder().encode([column]) == [b"\x0a\x0e" + features]


def test_floats_by_hand():
    # 1.5 is 0x3fc00000, little endian.
    packed = b"\x00\x00\xc0\x3f"
    feature = b"\x12\x06" + b"\x0a\x04" + packed  # field 2 holds field 1, packed
    features = b"\x0a\x0d" + b"\x0a\x01a" + b"\x12\x08" + feature
    assert NumpyEncoder().encode([floats("a", [[1.5]])]) == [b"\x0a\x0f" + features]


def test_floats_of_all_lengths():
    rows = [[], [1.5, -0.0, 3.4028234663852886e38], [float("inf")], [0.25] * 5000]
    decoded = [decode(example) for example in NumpyEncoder().encode([floats("x", rows), ints("i", [[1]] * 4)])]
    assert decoded == [{"x": row, "i": [1]} for row in rows]


def test_values_at_every_varint_length():
    rows = [INTEGERS, INTEGERS[::-1], [5]]
    decoded = [decode(example) for example in NumpyEncoder().encode([ints("item", rows)])]
    assert decoded == [{"item": row} for row in rows]


def test_long_rows_need_longer_length_prefixes():
    # Payloads on both sides of 127 and 16,383 bytes, where the prefixes grow.
    rows = [[1] * length for length in (1, 110, 120, 127, 128, 129, 16_370, 16_383, 16_384, 20_000)]
    names = [b"x" * len(row) for row in rows]
    for example, row, name in zip(
        NumpyEncoder().encode([ints("item", rows), texts("user_id", names)]), rows, names, strict=True
    ):
        assert decode(example) == {"item": row, "user_id": [name]}


def test_offsets_into_larger_arrays():
    # The second and third row of a column, as a slice of a batch would be.
    values = np.array([9, 9, 1, 2, 3], np.int64)
    strings = np.frombuffer(b"zzabc", np.uint8)
    columns = [
        FeatureColumn("n", values[2:], np.array([0, 2, 3])),
        FeatureColumn("s", strings[2:], np.array([0, 1, 3])),
    ]
    assert [decode(example) for example in NumpyEncoder().encode(columns)] == [
        {"n": [1, 2], "s": [b"a"]},
        {"n": [3], "s": [b"bc"]},
    ]


def random_columns(rows: int) -> list[FeatureColumn]:
    random = np.random.default_rng(3)
    items = [random.integers(2, 2 ** random.integers(2, 40), random.integers(1, 60)).tolist() for _ in range(rows)]
    return [
        ints("item", items),
        ints("timestamp", [random.integers(-(2**62), 2**62, len(row)).tolist() for row in items]),
        texts(
            "user_id", [bytes(random.integers(0, 256, random.integers(0, 200), dtype=np.uint8)) for _ in range(rows)]
        ),
        ints("num_targets", [[len(row) - 1] for row in items]),
    ]


def test_equals_the_protobuf_serialization():
    columns = random_columns(50)
    for number, serialized in enumerate(NumpyEncoder().encode(columns)):
        expected = tf.train.Example()
        for column in columns:
            values = column.values[column.offsets[number] : column.offsets[number + 1]]
            if column.values.dtype == np.uint8:
                expected.features.feature[column.name].bytes_list.value.append(values.tobytes())
            else:
                expected.features.feature[column.name].int64_list.value.extend(values.tolist())
        assert tf.train.Example.FromString(serialized) == expected
        assert len(serialized) == expected.ByteSize()


def test_equals_tfx_bsl():
    pytest.importorskip("tfx_bsl")
    columns = random_columns(200)
    ours, theirs = NumpyEncoder().encode(columns), TfxBslEncoder().encode(columns)
    assert [len(example) for example in ours] == [len(example) for example in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert tf.train.Example.FromString(mine) == tf.train.Example.FromString(other)
