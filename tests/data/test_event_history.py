"""The history of a user: which split, which sequence, and what is said about strangers."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_history import named_history, user_history
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError, DataError

DAY = 86_400


@pytest.fixture
def dataset(tmp_path):
    def run(rows: list[tuple[Any, Any, int]], **options: Any) -> InteractionDataset:
        user, item, time = zip(*rows, strict=True)
        table = pa.table({"user_id": list(user), "item_id": list(item), "timestamp": list(time)})
        settings = {"user_col": "user_id", "time_unit": "s", "output": str(tmp_path / "DS"), **options}
        convert(ConversionOptions(**settings), table=table)
        return InteractionDataset.open(tmp_path / "DS")

    return run


def test_leave_one_out_gives_all_events_in_order_of_time(dataset):
    rows = [(1, 10, 5), (2, 10, 6), (1, 11, 1), (2, 11, 7), (1, 12, 9), (2, 12, 8), (1, 10, 7)]
    opened = dataset(rows, split="leave_one_out", unknown_items="keep")
    history = user_history(opened, "1")
    assert opened.item_vocabulary.raw(history.items) == [11, 10, 10, 12]
    assert history.timestamps.tolist() == [1000, 5000, 7000, 9000]
    assert history.split == "test"
    assert opened.vocabulary("user").raw([history.user]) == [1]


def test_a_user_without_test_events_is_found_in_an_earlier_split(dataset):
    rows = [(1, 10, 0), (1, 11, 1), (2, 10, 2), (2, 11, 3), (3, 11, 4), (3, 10, 90), (2, 10, 99), (2, 11, 100)]
    opened = dataset(rows, split="global_time", test_fraction=0.25, valid_fraction=0.125)
    assert [user_history(opened, user).split for user in ("1", "2", "3")] == ["train", "test", "valid"]
    assert opened.item_vocabulary.raw(user_history(opened, "2").items) == [10, 11, 10, 11]


def test_of_the_sessions_of_a_user_the_latest_counts(dataset):
    rows = [(1, 10, 0), (1, 11, 1), (1, 11, 5000), (1, 12, 5001), (1, 12, 2 * DAY), (1, 10, 2 * DAY + 1)]
    rows += [(2, 12, 6000), (2, 10, 6001), (1, 10, 2 * DAY + 9000), (1, 11, 2 * DAY + 9001)]
    opened = dataset(rows, session_gap=3600, test_days=1)
    history = user_history(opened, "1")
    assert history.split == "test"
    assert opened.item_vocabulary.raw(history.items) == [10, 11]
    assert opened.item_vocabulary.raw(user_history(opened, "2").items) == [12, 10]


def test_sessions_are_found_by_their_id(convert_rows):
    opened = convert_rows([("s", "a", 1), ("s", "b", 2), ("t", "b", 3), ("t", "a", 4)])
    history = user_history(opened, "t")
    assert opened.item_vocabulary.raw(history.items) == ["b", "a"]
    assert history.user is None
    with pytest.raises(DataError, match=r"No split has the session `x`\. Check that it is a raw session id"):
        user_history(opened, "x")


def test_a_user_without_training_events_has_no_index(dataset):
    rows = [(user, item, 10 * user + item) for user in range(1, 21) for item in (1, 2, 3)]
    opened = dataset(rows, split="random_user", test_fraction=0.4, valid_fraction=0)
    tested = opened.load_ragged("test").user_ids
    assert len(tested)
    history = user_history(opened, str(tested[0]))
    assert (history.user, history.split, history.items.tolist()) == (1, "test", [4, 3, 2])


def test_strangers_get_the_closest_ids(dataset):
    rows = [(user, item, time) for user in ("anna", "bob") for time, item in enumerate("xyzx")]
    opened = dataset(rows, split="leave_one_out")
    with pytest.raises(DataError, match=r"No split has the user `ana`\. Close to it: `anna`\."):
        user_history(opened, "ana")
    with pytest.raises(DataError, match=r"No split has the user `q`\. Check that"):
        user_history(opened, "q")


@pytest.mark.parametrize("user", ["anna", "1.0", "", "99999999999999999999"])
def test_ids_of_another_type(dataset, user):
    opened = dataset([(1, item, item) for item in (1, 2, 3, 4)], split="leave_one_out")
    with pytest.raises(ConfigError, match=r"user ids of this model are int"):
        user_history(opened, user)


def test_many_users_in_many_shards(dataset):
    rows = [(user, (user + step) % 50, 100 * user + step) for user in range(9000) for step in range(4)]
    opened = dataset(rows, split="leave_one_out", shards=5)
    for user in (0, 4321, 8999):
        found = opened.item_vocabulary.raw(user_history(opened, str(user)).items)
        assert found == [(user + step) % 50 for step in range(4)]


def test_a_user_whose_only_training_event_makes_no_example(dataset):
    rows = [(1, item, item) for item in (5, 6, 5, 6)] + [(2, item, item) for item in (5, 6, 7)]
    history = user_history(dataset(rows, split="leave_one_out", unknown_items="oov"), "2")
    assert (history.user, history.split) == (1, "test")
    assert history.items.tolist()[-1] == 1  # 7 has no index


def test_named_items():
    vocabulary = Vocabulary(pa.array([7, 5, 9]), [3, 2, 1])
    history = named_history(vocabulary, ["9", "8", "7"])
    assert history.items.tolist() == [4, 2]
    assert history.unknown == ["8"]
    with pytest.raises(DataError, match="None of the items `1`, `2`"):
        named_history(vocabulary, ["1", "2"])
    with pytest.raises(ConfigError, match=r"item ids of this model are integers, received `x`"):
        named_history(vocabulary, ["7", "x"])
