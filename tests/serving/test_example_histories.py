"""Examples with numbers that are no indices."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tfrec.serving.example_histories import parse_histories

SIZES = {"item": 9, "user": 5, "behavior": 4}


def example(**columns: list[int]) -> bytes:
    features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=held)) for name, held in columns.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.mark.parametrize(
    ("number", "index"), [(8, 8), (9, 1), (-1, 1), (2**32 + 6, 1), (2**62, 1), (-(2**32) + 6, 1), (0, 0)]
)
def test_what_is_no_index_is_unknown(number: int, index: int) -> None:
    """Also what would become an index once it is cast to int32; and it does not spoil the rest of the batch."""
    first = example(item=[5, number], user=[number], behavior=[3, number], timestamp=[10, 20])
    second = example(item=[7], user=[4], behavior=[2], timestamp=[30])
    parsed = parse_histories(tf.constant([first, second]), SIZES, ["timestamp", "user", "behavior"])
    assert parsed.items.numpy().tolist() == [[5, index], [7, 0]]
    assert parsed.users is not None
    assert parsed.users.numpy().tolist() == [0 if number == 0 else 1, 4]
    assert parsed.features["behavior"].numpy().tolist() == [[3, 0 if number == 0 else 1], [2, 0]]
    assert {tensor.dtype for tensor in (parsed.items, parsed.users, parsed.features["behavior"])} == {tf.int32}


@pytest.mark.parametrize(("targets", "length", "request_time"), [(0, 3, 0), (1, 2, 30), (3, 0, 10), (9, 0, 10)])
def test_targets_are_no_history(targets: int, length: int, request_time: int) -> None:
    text = example(item=[5, 6, 7], num_targets=[targets], timestamp=[10, 20, 30])
    parsed = parse_histories(tf.constant([text]), {"item": 9}, ["timestamp", "request_time"])
    assert parsed.length.numpy().tolist() == [length]
    assert parsed.request_time is not None
    assert parsed.request_time.numpy().tolist() == [request_time]
    below = parse_histories(tf.constant([example(item=[5], num_targets=[-(2**40)])]), {"item": 9}, [])
    assert below.length.numpy().tolist() == [1]
    assert (below.timestamps, below.users, below.request_time) == (None, None, None)
