"""Padded batches: content, order, length limit, shuffling and bucketing."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError


@pytest.fixture
def small(convert_rows) -> InteractionDataset:
    # Items 5 (three events), 6 (three) and 7 (one): indices 6 -> 2, 5 -> 3, 7 -> 4.
    rows = [(1, 5, 1), (1, 6, 2), (1, 7, 3), (2, 6, 4), (2, 5, 5), (3, 5, 6), (3, 6, 7)]
    return convert_rows(rows)


@pytest.fixture
def many(convert_rows) -> InteractionDataset:
    random = np.random.default_rng(0)
    rows = []
    for session in range(300):
        rows += [
            (session, int(item), 100 * session + n) for n, item in enumerate(random.integers(0, 30, 2 + session % 17))
        ]
    return convert_rows(rows, shards=4)


def users(dataset) -> list[int]:
    return [int(user) for batch in dataset for user in batch["user_id"].numpy()]


def test_batches_are_right_padded(small):
    batches = list(sequence_dataset(small, "train", 2))
    assert batches[0]["item"].numpy().tolist() == [[3, 2, 4], [2, 3, 0]]
    assert batches[0]["timestamp"].numpy().tolist() == [[1000, 2000, 3000], [4000, 5000, 0]]
    assert batches[0]["length"].numpy().tolist() == [3, 2]
    assert batches[0]["num_targets"].numpy().tolist() == [2, 1]
    assert batches[1]["item"].numpy().tolist() == [[3, 2]]
    types = {name: tensor.dtype.name for name, tensor in batches[0].items()}
    assert types == {
        "item": "int32",
        "timestamp": "int64",
        "length": "int32",
        "num_targets": "int32",
        "user_id": "int64",
    }


def test_max_length_keeps_the_last_events(small):
    (batch,) = sequence_dataset(small, "train", 8, max_length=2)
    assert batch["item"].numpy().tolist() == [[2, 4], [2, 3], [3, 2]]
    assert batch["timestamp"].numpy().tolist()[0] == [2000, 3000]
    assert batch["num_targets"].numpy().tolist() == [1, 1, 1]


def test_max_length_leaves_fewer_targets_alone(convert_rows):
    rows = [(1, item, second) for second, item in enumerate([5, 6, 5, 6, 5, 6])]
    dataset = convert_rows([*rows, *[(2, item, 50 + item) for item in (5, 6, 5)]], split="leave_one_out")
    (batch,) = sequence_dataset(dataset, "test", 2, max_length=4)
    assert batch["num_targets"].numpy().tolist() == [1, 1]
    assert batch["length"].numpy().tolist() == [4, 3]


def test_time_order_without_shuffle_and_drop_remainder(many):
    assert users(sequence_dataset(many, "train", 7)) == list(range(300))
    assert users(sequence_dataset(many, "train", 7, drop_remainder=True)) == list(range(294))


def test_shuffle_depends_on_the_seed_and_the_iteration_only(many):
    first = sequence_dataset(many, "train", 16, shuffle=True, seed=1)
    once, twice = users(first), users(first)
    again = sequence_dataset(many, "train", 16, shuffle=True, seed=1)
    assert (once, twice) == (users(again), users(again))
    assert once != twice
    other = users(sequence_dataset(many, "train", 16, shuffle=True, seed=2))
    assert other != once
    for order in (once, twice, other):
        assert sorted(order) == list(range(300))
    # Not only within shards: of the first 75 sequences read, far fewer than all come from one shard of 75.
    assert max(np.bincount(np.array(once[:75]) // 75)) < 50


def test_shuffled_rows_keep_their_content(many):
    arrays = many.load_ragged("train")
    for batch in sequence_dataset(many, "train", 32, shuffle=True, bucket_by_length=True):
        for user, item, length in zip(*(batch[name].numpy() for name in ("user_id", "item", "length")), strict=True):
            start, stop = arrays.offsets[user], arrays.offsets[user + 1]
            assert item[:length].tolist() == arrays.items[start:stop].tolist()
            assert not item[length:].any()


def test_buckets_hold_similar_lengths(many):
    def padding(dataset) -> int:
        return sum(int((batch["item"].numpy() == 0).sum()) for batch in dataset)

    plain = sequence_dataset(many, "train", 20)
    bucketed = sequence_dataset(many, "train", 20, bucket_by_length=True)
    # 300 sequences are one window of 15 batches; lengths 2..18 in turn, sorted, differ by at most two in a batch.
    assert all(np.ptp(batch["length"].numpy()) <= 2 for batch in bucketed)
    assert padding(bucketed) < padding(plain) / 5
    assert sorted(users(bucketed)) == list(range(300))


def test_buckets_without_shuffle_go_from_short_to_long(many):
    means = [batch["length"].numpy().mean() for batch in sequence_dataset(many, "train", 20, bucket_by_length=True)]
    assert means == sorted(means)
    shuffled = sequence_dataset(many, "train", 20, bucket_by_length=True, shuffle=True, seed=4)
    means = [batch["length"].numpy().mean() for batch in shuffled]
    assert means != sorted(means)
    again = sequence_dataset(many, "train", 20, bucket_by_length=True, shuffle=True, seed=4)
    assert means == [batch["length"].numpy().mean() for batch in again]


def test_buckets_drop_remainder(many):
    batches = list(sequence_dataset(many, "train", 32, bucket_by_length=True, drop_remainder=True))
    assert [len(batch["length"]) for batch in batches] == [32] * 9


def test_repeat(small):
    assert users(sequence_dataset(small, "train", 2, repeat=True).take(4)) == [1, 2, 3, 1, 2, 3, 1, 2]


def test_user_features(tmp_path, convert_rows):
    import pyarrow as pa

    from tfrec.data.conversion import ConversionOptions, convert

    table = pa.table({"user_id": ["b", "b", "a", "a"], "item_id": [1, 2, 1, 2], "timestamp": [1, 2, 3, 4]})
    convert(
        ConversionOptions(output=str(tmp_path / "U"), split="random_user", test_fraction=0, valid_fraction=0),
        table=table,
    )
    (batch,) = sequence_dataset(InteractionDataset.open(tmp_path / "U"), "train", 4)
    assert batch["user_id"].numpy().tolist() == [b"b", b"a"]
    # Two events each; "b" > "a".
    assert batch["user"].numpy().tolist() == [2, 3]
    assert batch["user"].dtype.name == "int32"


def test_bad_arguments(small):
    with pytest.raises(ConfigError, match="`batch_size` must be at least 1, received 0"):
        sequence_dataset(small, "train", 0)
    with pytest.raises(ConfigError, match="`max_length` must be at least 2"):
        sequence_dataset(small, "train", 1, max_length=1)
    with pytest.raises(ConfigError, match="no split `test`"):
        sequence_dataset(small, "test", 1)
