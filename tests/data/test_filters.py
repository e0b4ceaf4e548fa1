"""Sessions by inactivity, collapsed repetitions, minimum support and length."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError, DataError

# Item 4 occurs once. Without it session 4 has one event; without session 4 item 3 occurs once; without item 3 session 3
# has one event. Items 1 and 2 keep two events each.
CASCADE = [(1, 1, 10), (1, 2, 11), (2, 1, 20), (2, 2, 21), (3, 1, 30), (3, 3, 31), (4, 3, 40), (4, 4, 41)]


def test_filters_to_a_fixpoint(convert_rows, examples):
    dataset = convert_rows(CASCADE, min_item_count=2)
    assert examples(dataset) == [(1, [1, 2], 1), (2, [1, 2], 1)]
    counts = dataset.manifest.counts
    # Items 3 (two events) and 4 (one) are gone; of the rest, session 3's event on item 1 is in a short sequence.
    assert counts.dropped_events["rare_items"] == 3
    assert counts.dropped_events["short_sequences"] == 1
    assert counts.dropped_sequences["before_split"] == 2
    assert counts.events == 4


def test_filters_in_a_single_pass(convert_rows, examples):
    dataset = convert_rows(CASCADE, min_item_count=2, filter_mode="single_pass")
    # Item 4 goes, then session 4 (one event); item 3 keeps its one event although it is rare now.
    assert examples(dataset) == [(1, [1, 2], 1), (2, [1, 2], 1), (3, [1, 3], 1)]


def test_single_pass_counts_items_after_dropping_short_sequences(convert_rows, examples):
    # Item 9 has two events, but one of them is a session of length one, dropped first: 9 is rare.
    rows = [(1, 1, 10), (1, 2, 11), (1, 9, 12), (2, 1, 20), (2, 2, 21), (3, 9, 30)]
    dataset = convert_rows(rows, min_item_count=2, filter_mode="single_pass")
    assert examples(dataset) == [(1, [1, 2], 1), (2, [1, 2], 1)]


def test_minimum_sequence_length(convert_rows, examples):
    rows = [(1, 1, 10), (1, 2, 11), (2, 1, 20), (2, 2, 21), (2, 3, 22), (3, 1, 30)]
    assert examples(convert_rows(rows, min_seq_len=3)) == [(2, [1, 2, 3], 2)]


def test_consecutive_duplicates_collapse_within_a_sequence(convert_rows, examples):
    # i,i,j -> i,j and i,j,i stays; session 2 begins with the item session 1 ends with.
    rows = [
        (1, 5, 1),
        (1, 5, 2),
        (1, 6, 3),
        (1, 5, 4),
        (2, 5, 5),
        (2, 6, 6),
        (2, 6, 7),
        (2, 6, 8),
        (3, 7, 1),
        (3, 7, 2),
    ]
    dataset = convert_rows(rows, drop_consecutive_duplicates=True)
    # Session 3 collapses to one event.
    assert examples(dataset) == [(1, [5, 6, 5], 2), (2, [5, 6], 1)]
    assert dataset.load_ragged("train").timestamps.tolist() == [1000, 3000, 4000, 5000, 6000]
    assert dataset.manifest.counts.dropped_events["consecutive_duplicates"] == 4


def users(rows: list[tuple[int, int, float]], tmp_path, **options) -> InteractionDataset:
    user, item, time = zip(*rows, strict=True)
    table = pa.table({"user_id": list(user), "item_id": list(item), "timestamp": list(time)})
    values = {"output": str(tmp_path / "DS"), "split": "random_user", "test_fraction": 0, "valid_fraction": 0}
    convert(ConversionOptions(**{"time_unit": "s", **values, **options}), table=table)
    return InteractionDataset.open(tmp_path / "DS")


def test_sessions_by_inactivity(tmp_path, examples):
    hour = 3600
    rows = [
        (7, 1, 0),
        (7, 2, hour),  # exactly the gap: the same session
        (7, 3, 2 * hour + 1),  # one second more: a new one
        (7, 4, 2 * hour + 2),
        (8, 1, 10),
        (8, 5, 2 * hour),  # a session of one event
        (8, 2, 11),
        (7, 1, 9 * hour),
    ]
    dataset = users(rows, tmp_path, session_gap=hour)
    # Input order does not matter; sequences by time of first event; the user id is kept.
    assert examples(dataset) == [(7, [1, 2], 1), (8, [1, 2], 1), (7, [3, 4], 1)]
    arrays = dataset.load_ragged("train")
    # User 7 has four events in training, user 8 two: indices 2 and 3.
    assert arrays.users.tolist() == [2, 3, 2]
    assert dataset.vocabulary("user").counts.tolist() == [0, 0, 4, 2]


def test_sessions_by_inactivity_and_duplicates(tmp_path, examples):
    # The second 5 repeats within a session; the third begins a new one, so it stays.
    rows = [(7, 5, 0), (7, 5, 1), (7, 6, 2), (7, 6, 100), (7, 5, 101), (7, 5, 200), (7, 4, 201)]
    dataset = users(rows, tmp_path, session_gap=50, drop_consecutive_duplicates=True)
    assert examples(dataset) == [(7, [5, 6], 1), (7, [6, 5], 1), (7, [5, 4], 1)]


def test_equal_session_ids_of_two_users_are_two_sequences(tmp_path, examples):
    table = pa.table(
        {"u": [1, 2, 1, 2, 1], "s": ["a", "a", "a", "a", "b"], "item_id": [5, 6, 7, 8, 9], "timestamp": [1, 2, 3, 4, 5]}
    )
    options = ConversionOptions(
        output=str(tmp_path / "DS"),
        user_col="u",
        session_col="s",
        split="random_user",
        test_fraction=0,
        valid_fraction=0,
    )
    convert(options, table=table)
    assert examples(InteractionDataset.open(tmp_path / "DS"), "train") == [(1, [5, 7], 1), (2, [6, 8], 1)]


def test_equal_times_keep_input_order(convert_rows, examples):
    rows = [(1, 9, 5), (1, 8, 5), (1, 7, 4), (1, 6, 5)]
    assert examples(convert_rows(rows)) == [(1, [7, 9, 8, 6], 3)]


def test_sequences_that_start_together_go_by_id(convert_rows, examples):
    rows = [(30, 1, 0), (4, 2, 0), (30, 1, 1), (4, 2, 1)]
    assert [example[0] for example in examples(convert_rows(rows))] == [4, 30]


def test_filters_that_leave_nothing(convert_rows):
    with pytest.raises(DataError, match=r"No sequence is left of 4.*longest has 2 events"):
        convert_rows(CASCADE, min_seq_len=5)


def test_session_gap_excludes_a_session_column(tmp_path):
    with pytest.raises(ConfigError, match="session-gap"):
        ConversionOptions(output=str(tmp_path), session_col="s", session_gap=10)
