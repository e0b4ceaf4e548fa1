"""The schema: hash, diff and TensorFlow Metadata text."""

from __future__ import annotations

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec.data.schema import DatasetSchema, FeatureSpec
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import DataError

TIME = FeatureSpec(name="timestamp", dtype="int64", shape="sequence")
USER = FeatureSpec(name="user_id", dtype="string", shape="scalar")


def schema(ids: pa.Array, *features: FeatureSpec) -> DatasetSchema:
    vocabulary = Vocabulary(ids, range(len(ids)))
    item = FeatureSpec(
        name="item",
        dtype="int64",
        shape="sequence",
        vocabulary="item",
        vocabulary_size=vocabulary.size,
        vocabulary_sha256=vocabulary.content_hash,
        id_type=vocabulary.id_type,
    )
    return DatasetSchema(features=[item, *features])


def test_text_round_trip_is_a_valid_tfmd_schema():
    original = schema(pa.array(["x", "y"]), TIME, USER)
    message = text_format.Parse(original.to_text(), schema_pb2.Schema())
    assert [feature.name for feature in message.feature] == ["item", "timestamp", "user_id"]
    assert message.feature[0].int_domain.max == 3  # two ids, padding and out of vocabulary
    assert message.feature[2].shape.dim[0].size == 1
    assert message.represent_variable_length_as_ragged
    parsed = DatasetSchema.from_text(original.to_text())
    assert parsed == original
    assert parsed.hash == original.hash


def test_hash_covers_names_types_and_vocabulary_content():
    base = schema(pa.array([1, 2]), TIME)
    assert base.hash == schema(pa.array([1, 2]), TIME).hash
    assert base.hash == DatasetSchema(features=base.features[::-1]).hash
    others = [
        schema(pa.array([2, 1]), TIME),
        schema(pa.array(["1", "2"]), TIME),
        schema(pa.array([1, 2])),
        schema(pa.array([1, 2]), TIME, USER),
        schema(pa.array([1, 2]), TIME.model_copy(update={"dtype": "float32"})),
    ]
    assert len({base.hash, *(other.hash for other in others)}) == 6


def test_diff_is_readable():
    expected = schema(pa.array([1, 2]), TIME)
    received = schema(pa.array([1, 2, 3]), USER)
    lines = expected.diff(received)
    assert len(lines) == 3
    assert lines[0].startswith("`item`: expected sequence of int64, indices of vocabulary `item` (size 4, int64 ids")
    assert "received sequence of int64, indices of vocabulary `item` (size 5" in lines[0]
    assert lines[1] == "`timestamp`: expected sequence of int64, missing"
    assert lines[2] == "`user_id`: not expected, received scalar of string"
    assert expected.diff(expected) == []


def test_text_that_is_no_schema():
    with pytest.raises(DataError, match=r"schema\.pbtxt`: Not a schema"):
        DatasetSchema.from_text("feature { nonsense }")
