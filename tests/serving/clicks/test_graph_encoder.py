"""Raw columns in a graph against numpy and arrow: scaling, lists held in text, ids of all types."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfrec.data.impressions.fields import Field, FieldEncoder, FieldSet
from tfrec.data.impressions.token_lists import split_lists
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError
from tfrec.serving.clicks.graph_encoder import GraphEncoder
from tfrec.serving.clicks.graph_scaling import scaled
from tfrec.serving.clicks.input_types import input_columns, types_like

NAN = float("nan")


def test_numbers_are_scaled_as_numpy_scales_them() -> None:
    fields = [
        Field(name="span", kind="number", scaling="min_max", low=-2.0, high=6.0, missing=4.0),
        Field(name="equal", kind="number", scaling="quantile", quantiles=(0.0, 0.0, 1.0, 1.0, 1.0, 7.0), missing=-1.0),
        Field(name="as it is", kind="number", scaling="none", missing=0.5),
        Field(name="constant", kind="number", scaling="min_max", low=3.0, high=3.0),
        Field(name="two", kind="number", scaling="quantile", quantiles=(1.0, 2.0)),
        Field(name="one", kind="number", scaling="quantile", quantiles=(5.0,)),
    ]
    values = np.array([NAN, -3.0, -2.0, 0.0, 0.25, 1.0, 1.5, 2.0, 3.0, 6.9, 7.0, 8.5, 1e-9])
    found = scaled(fields, tf.constant(np.tile(values, (len(fields), 1)))).numpy()
    assert found.dtype == np.float32
    for field, row in zip(fields, found, strict=True):
        np.testing.assert_array_equal(row, field.scale(values).astype(np.float32), err_msg=field.name)
    np.testing.assert_allclose(found[0][:4], [0.75, -0.125, 0.0, 0.25])
    np.testing.assert_allclose(found[1][[0, 3, 5, 6, 10, 11]], [0.0, 0.2, 0.8, 0.8 + 0.2 / 12, 1.0, 1.0], rtol=1e-6)


def test_an_infinite_number_is_refused_by_name() -> None:
    fields = [Field(name=name, kind="number") for name in ("fine", "wrong")]
    with pytest.raises(tf.errors.InvalidArgumentError, match="wrong") as caught:
        scaled(fields, tf.constant([[1.0, 2.0], [float("inf"), NAN]], tf.float64))
    assert "fine" not in str(caught.value)


TEXTS = [
    "7,30,4",
    "",
    "5",
    " 5 ,\t7",
    "5,,7,",
    ",",
    "007,1",
    "a\u3000b,\u30007\u00a0",
    " ",
    "1,2,3,4,5,6,7,8",
    "x\x1c,\x857",
]


@pytest.mark.parametrize(("separator", "keep"), [(",", "last"), (",", "first"), (", ", "last"), ("^", "first")])
def test_lists_are_taken_apart_as_arrow_does(separator: str, keep: str) -> None:
    texts = [text.replace(",", separator) for text in TEXTS]
    encoder = one_list(separator, keep)
    graph = GraphEncoder(encoder, input_columns(encoder, {}))
    [field] = encoder.fields.fields
    expected = split_lists(pa.array(texts), separator, field.max_length, keep)
    found = graph.split(field, tf.constant(texts))
    np.testing.assert_array_equal(found.row_splits, expected.offsets)
    assert [token.decode() for token in found.flat_values.numpy()] == expected.as_texts().to_pylist()


def test_a_model_may_read_fewer_values_than_the_data_keep() -> None:
    for keep, expected in (("last", [[3, 1], [4, 0], [0, 0]]), ("first", [[4, 2], [4, 0], [0, 0]])):
        encoder = one_list(",", keep)
        graph = GraphEncoder(encoder, input_columns(encoder, {}), max_length=2)
        batch = graph({"list": graph.split(encoder.fields.fields[0], tf.constant(["9,7,8,z", "9", ""]))})
        assert batch["list/length"].numpy().tolist() == [2, 1, 0]
        assert batch["list"].numpy().tolist() == expected, keep


def one_list(separator: str, keep: str) -> FieldEncoder:
    """A list of which five values are kept; 7 has the index 2, 8 the index 3, 9 the index 4."""
    field = Field(name="list", kind="ids", vocabulary="v", size=5, separator=separator, max_length=5, keep=keep)  # type: ignore[arg-type]
    return FieldEncoder(FieldSet(label="y", fields=(field,)), {"v": Vocabulary(pa.array(["7", "8", "9"]), [3, 2, 1])})


def test_ids_of_all_types_are_the_text_of_the_vocabulary() -> None:
    field = Field(name="id", kind="category", vocabulary="v", size=5)
    known = Vocabulary(pa.array(["1", "-20", "1234567890"]), [3, 2, 1])
    encoder = FieldEncoder(FieldSet(label="y", fields=(field,)), {"v": known})
    graph = GraphEncoder(encoder, input_columns(encoder, {}))
    for values, kind, expected in (
        (["1", "1.0", "-20.00", "1.5", "01", "", " 1", "1234567890.0"], tf.string, [2, 2, 3, 1, 1, 1, 1, 4]),
        ([1, -20, 1234567890, 2, -(2**63)], tf.int64, [2, 3, 4, 1, 1]),
        ([1.0, -20.0, 1234567890.0, 1.5, NAN, 1e300, 2.0], tf.float64, [2, 3, 4, 1, 1, 1, 1]),
        ([1.0, -20.0, NAN], tf.float32, [2, 3, 1]),
    ):
        assert graph({"id": tf.constant(values, kind)})["id"].numpy().tolist() == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (pa.list_(pa.int64()), "int64"),
        (pa.large_list(pa.int32()), "int64"),
        (pa.list_(pa.int64(), 2), "int64"),
        (pa.list_(pa.string()), None),
        (pa.list_(pa.float64()), None),
    ],
)
def test_types_of_a_file(kind: pa.DataType, expected: str | None, tmp_path: Path) -> None:
    values = pa.array([[7, 8]]).cast(pa.list_(kind.value_type))
    column = pa.FixedSizeListArray.from_arrays(values.flatten(), 2) if hasattr(kind, "list_size") else values.cast(kind)
    pq.write_table(pa.table({"list": column}), tmp_path / "log.parquet")
    assert types_like(tmp_path / "log.parquet", one_list(",", "last")).get("list") == expected


def test_types_that_do_not_suit_a_column_are_refused() -> None:
    fields = FieldSet(
        label="y",
        fields=(
            Field(name="city", kind="category", vocabulary="city", size=3),
            Field(name="list", kind="ids", vocabulary="ids", size=3),
            Field(name="a.b", kind="number"),
        ),
    )
    vocabularies = {"city": Vocabulary(pa.array(["x"]), [1]), "ids": Vocabulary(pa.array(["1"]), [1])}
    encoder = FieldEncoder(fields, vocabularies)
    for types, words in (
        ({"city": "int64"}, "no whole numbers"),
        ({"list": "float"}, "list of ids"),
        ({"a.b": "text"}, "cannot be sent as text"),
        ({"cyti": "text"}, "`types` names `cyti`"),
    ):
        with pytest.raises(ConfigError, match=words):
            input_columns(encoder, types)  # type: ignore[arg-type]
    assert [column.name for column in input_columns(encoder, {"list": "int64"})] == ["city", "list", "a_b"]
    twice = fields.model_copy(update={"fields": (*fields.fields, Field(name="a-b", kind="number"))})
    with pytest.raises(ConfigError, match="become the input `a_b`"):
        input_columns(FieldEncoder(twice, vocabularies), {})
