"""Every split rule on logs small enough to split by hand."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError, DataError

DAY = 86_400
# The last event is at day 10, so with one test day the boundary is day 9, and day 8 with one validation day.
SESSIONS = [
    (1, 50, 1.0 * DAY),
    (1, 60, 1.1 * DAY),
    (2, 50, 8.9 * DAY),  # starts before day 9 and ends after it
    (2, 60, 8.95 * DAY),
    (2, 70, 9.05 * DAY),
    (3, 60, 8.99 * DAY),  # one event before day 9
    (3, 50, 9.01 * DAY),
    (4, 60, 9.5 * DAY),
    (4, 50, 10.0 * DAY),
    (5, 50, 9.0 * DAY),  # exactly at the boundary
    (5, 99, 9.1 * DAY),  # never seen in training
    (5, 60, 9.2 * DAY),
]


def test_session_time_truncates_crossing_sessions(convert_rows, examples):
    dataset = convert_rows(SESSIONS, split="session_time")
    # Session 2 is cut at day 9; session 3 is cut to one event and falls away; 70 and 99 have no training event.
    assert examples(dataset, "train") == [(1, [50, 60], 1), (2, [50, 60], 1)]
    # By first event: session 5 (9.0) before session 4 (9.5).
    assert examples(dataset, "test") == [(5, [50, 60], 1), (4, [60, 50], 1)]
    manifest = dataset.manifest
    assert manifest.split.boundaries == {"test": 9 * DAY * 1000}
    # Dropped: 70 of session 2 and 50 of session 3 cross; 99 unknown; the rest of session 3 is too short.
    assert manifest.counts.dropped_events["crossing_a_boundary"] == 2
    assert manifest.counts.dropped_events["unknown_items"] == 1
    assert manifest.counts.dropped_events["too_short_in_split"] == 1
    assert manifest.counts.events == 8
    assert manifest.splits["test"].unknown_item_events == 1


def test_session_time_once_more_for_validation(convert_rows, examples):
    dataset = convert_rows(SESSIONS, split="session_time", valid_days=1)
    # Sessions 2 and 3 start in [day 8, day 9): validation, cut at day 9; 3 has one event left.
    assert examples(dataset, "train") == [(1, [50, 60], 1)]
    assert examples(dataset, "valid") == [(2, [50, 60], 1)]
    assert examples(dataset, "test") == [(5, [50, 60], 1), (4, [60, 50], 1)]
    assert dataset.manifest.split.boundaries == {"test": 9 * DAY * 1000, "valid": 8 * DAY * 1000}


def test_session_time_keeps_unknown_items_as_oov(convert_rows, examples):
    dataset = convert_rows(SESSIONS, split="session_time", unknown_items="oov")
    assert examples(dataset, "test")[0] == (5, [50, None, 60], 2)
    assert dataset.load_ragged("test").items.tolist()[1] == 1
    assert dataset.manifest.counts.dropped_events["unknown_items"] == 0


def test_session_time_from_a_fixed_instant(convert_rows, examples):
    # Counting back from day 10.2: the boundary is day 9.2, so session 5 trains, without its event at 9.2.
    dataset = convert_rows(SESSIONS, split="session_time", split_time=round(10.2 * DAY * 1000))
    assert examples(dataset, "train")[-1] == (5, [50, 99], 1)
    assert [example[0] for example in examples(dataset, "test")] == [4]


def test_session_time_last_goes_by_the_last_event(convert_rows, examples):
    dataset = convert_rows(SESSIONS, split="session_time_last")
    # Sessions 2 (ends 9.05) and 3 (ends 9.01) are test now, whole; 70 is unknown to training.
    assert examples(dataset, "train") == [(1, [50, 60], 1)]
    assert examples(dataset, "test") == [(2, [50, 60], 1), (3, [60, 50], 1), (5, [50, 60], 1), (4, [60, 50], 1)]


def test_session_time_last_takes_the_validation_day_from_the_end_of_training(convert_rows, examples):
    rows = [(1, 5, 1 * DAY), (1, 6, 1 * DAY + 1), (2, 5, 6 * DAY), (2, 6, 6 * DAY + 1), *SESSIONS[-5:-3]]
    dataset = convert_rows(rows, split="session_time_last", valid_days=1)
    # Last event day 10: test ends at or after day 9. Training then ends at day 6 + 1 s: validation from day 5 + 1 s.
    assert dataset.manifest.split.boundaries == {"test": 9 * DAY * 1000, "valid": (5 * DAY + 1) * 1000}
    assert examples(dataset, "train") == [(1, [5, 6], 1)]
    assert examples(dataset, "valid") == [(2, [5, 6], 1)]


def test_leave_one_out_carries_the_history(convert_rows, examples):
    rows = [(1, item, second) for second, item in enumerate([10, 11, 12, 13])]
    rows += [(2, item, 100 + second) for second, item in enumerate([10, 11])]
    rows += [(3, item, 200 + second) for second, item in enumerate([11, 10, 11, 10, 11])]
    dataset = convert_rows(rows, split="leave_one_out")
    assert examples(dataset, "train") == [(1, [10, 11], 1), (3, [11, 10, 11], 2)]
    # 12 and 13 have no training event. User 1 has no target left in validation (12) nor test (13); user 2 has two
    # events: no validation target, one test target.
    assert examples(dataset, "valid") == [(3, [11, 10, 11, 10], 1)]
    assert examples(dataset, "test") == [(2, [10, 11], 1), (3, [11, 10, 11, 10, 11], 1)]
    assert "leaks" in dataset.manifest.split.note


def test_global_time_by_fraction_of_events(convert_rows, examples):
    # Ten events at seconds 0..9: the last 20 % are 8 and 9, the 20 % before are 6 and 7.
    users = [1, 2, 1, 2, 1, 2, 1, 2, 1, 3]
    rows = [(user, 5 + second % 2, second) for second, user in enumerate(users)]
    dataset = convert_rows(rows, split="global_time", test_fraction=0.2, valid_fraction=0.2)
    assert dataset.manifest.split.boundaries == {"test": 8000, "valid": 6000}
    assert examples(dataset, "train") == [(1, [5, 5, 5], 2), (2, [6, 6, 6], 2)]
    assert examples(dataset, "valid") == [(1, [5, 5, 5, 5], 1), (2, [6, 6, 6, 6], 1)]
    # User 1 has the events at 0, 2, 4, 6 and 8; user 3 has a single event.
    assert examples(dataset, "test") == [(1, [5, 5, 5, 5, 5], 1)]


def test_global_time_keeps_equal_times_together(convert_rows, examples):
    # The boundary falls on a time that two events share: both are test.
    rows = [(1, 5, 0), (1, 5, 1), (1, 5, 2), (1, 5, 3), (1, 5, 3)]
    dataset = convert_rows(rows, split="global_time", test_fraction=0.2, valid_fraction=0)
    assert examples(dataset, "train") == [(1, [5, 5, 5], 2)]
    assert examples(dataset, "test") == [(1, [5, 5, 5, 5, 5], 2)]


def test_global_time_by_days(convert_rows):
    dataset = convert_rows(SESSIONS, split="global_time", test_days=1, valid_days=7)
    assert dataset.manifest.split.boundaries == {"test": 9 * DAY * 1000, "valid": 2 * DAY * 1000}


def test_random_user_is_a_hash_of_id_and_seed(convert_rows, examples):
    rows = [(user, 5 + position, 10 * user + position) for user in range(40) for position in range(2)]
    dataset = convert_rows(rows, split="random_user", seed=7, test_fraction=0.3, valid_fraction=0.2)

    def share(user: int) -> float:
        return int.from_bytes(hashlib.md5(f"7:{user}".encode()).digest()[:8], "little") / 2**64

    expected = {"test": set(), "valid": set(), "train": set()}
    for user in range(40):
        expected["test" if share(user) < 0.3 else "valid" if share(user) < 0.5 else "train"].add(user)
    assert all(expected.values())
    assert {split: {example[0] for example in examples(dataset, split)} for split in expected} == expected


@pytest.fixture
def convert_files(tmp_path):
    """Converts one file of rows (user or session, item, time) per split."""

    def run(column: str = "session_col", **splits: list[tuple[int, int, int]]) -> InteractionDataset:
        values: dict[str, object] = {column: "q"}
        for name, rows in splits.items():
            path = tmp_path / f"{name}.tsv"
            path.write_text("q\ti\tt\n" + "".join(f"{q}\t{i}\t{t}\n" for q, i, t in rows))
            values[name] = [str(path)]
        convert(ConversionOptions(output=str(tmp_path / "DS"), item_col="i", time_col="t", time_unit="s", **values))
        return InteractionDataset.open(tmp_path / "DS")

    return run


def test_given_files_carry_the_history_of_known_users(convert_files, examples):
    dataset = convert_files(
        "user_col",
        train=[(1, 5, 10), (1, 6, 20), (2, 5, 15), (2, 6, 16), (9, 5, 1)],
        # The time of user 1's last training event is not before it.
        test=[(1, 5, 30), (1, 6, 20), (3, 6, 40), (3, 5, 41), (3, 77, 42), (4, 6, 50)],
    )
    assert examples(dataset, "train") == [(1, [5, 6], 1), (2, [5, 6], 1)]
    assert examples(dataset, "test") == [(1, [5, 6, 6, 5], 2), (3, [6, 5], 1)]
    manifest = dataset.manifest
    assert manifest.split.rule == "given"
    assert [source.split for source in manifest.sources] == ["train", "test"]
    # Users 9 and 4 have a single event.
    assert manifest.counts.dropped_events["short_sequences"] == 2


def test_given_sessions_are_those_of_their_own_files(convert_files, examples):
    train = [(1, item, 100 + item) for item in (10, 11, 12, 13)]
    # Session ids start at 1 again in the other files, before and after the training session of the same id.
    dataset = convert_files(
        train=train, valid=[(1, 13, 200), (1, 10, 201), (1, 11, 202)], test=[(1, 12, 50), (1, 10, 51), (2, 11, 60)]
    )
    assert examples(dataset, "train") == [(1, [10, 11, 12, 13], 3)]
    assert examples(dataset, "valid") == [(1, [13, 10, 11], 2)]
    assert examples(dataset, "test") == [(1, [12, 10], 1)]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"test": [(8, 5, 300), (8, 6, 301), (7, 6, 101), (7, 5, 50)]},
            r"test\.tsv`, column `t`, row 3: The test event of user `7` at `101` precedes .* train .*`103`, row 4 "
            r"\(2 such test events in all\).*--session-col",
        ),
        (
            {"valid": [(7, 5, 200)], "test": [(7, 6, 150)]},
            r"test\.tsv`, column `t`, row 1: .* user `7` at `150` precedes .* valid file .*`200`, row 1",
        ),
        ({"valid": [(7, 5, 99), (7, 6, 200)]}, r"valid\.tsv`, column `t`, row 1: .* user `7` at `99`"),
    ],
)
def test_given_files_of_users_must_be_in_order(convert_files, tmp_path, files, words):
    train = [(7, item, 100 + place) for place, item in enumerate([5, 6, 5, 6])]
    with pytest.raises(DataError, match=words):
        convert_files("user_col", train=train, **files)
    assert not list(tmp_path.glob("DS*"))


def test_default_rules(tmp_path):
    log = {"item_id": [5] * 20, "timestamp": [DAY * second for second in range(20)]}
    users = pa.table({"user_id": [1] * 20, **log})
    sessions = pa.table({"session_id": [n // 2 for n in range(20)], **log})
    assert convert(ConversionOptions(output=str(tmp_path / "a")), table=users).split.rule == "global_time"
    assert convert(ConversionOptions(output=str(tmp_path / "b")), table=sessions).split.rule == "session_time"


def test_options_are_held_against_the_rule_that_the_columns_choose(convert_rows):
    # The column `session_id` makes it `session_time`, which is known only when the data is there.
    with pytest.raises(ConfigError, match="`--test-fraction` has no effect with the split rule `session_time`"):
        convert_rows(SESSIONS, split=None, test_fraction=0.3)


def test_a_split_without_training_events_is_an_error(convert_rows):
    with pytest.raises(DataError, match="leaves no training event"):
        convert_rows(SESSIONS, split="session_time", test_days=30)
