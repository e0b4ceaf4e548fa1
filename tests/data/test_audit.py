"""The leakage report on logs with planted leaks."""

from __future__ import annotations

import pyarrow as pa

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.manifest import AuditRecord

TRAIN = [("s1", "u1", 5, 10), ("s1", "u1", 6, 11), ("s2", "u2", 6, 20), ("s2", "u2", 7, 100)]
TEST = [
    ("s3", "u1", 5, 50),  # before the latest training event at 100; the items of s1 again; user of training
    ("s3", "u1", 6, 51),
    ("s2", "u2", 5, 150),  # a sequence with events in both
    ("s4", "u3", 6, 200),
    ("s4", "u3", 5, 201),
    ("s4", "u3", 88, 202),  # never trained
    ("s4", "u3", 88, 203),
]


def audit(tmp_path, train: list[tuple], test: list[tuple]) -> AuditRecord:
    paths = {}
    for name, rows in {"train": train, "test": test}.items():
        paths[name] = tmp_path / f"{name}.csv"
        lines = [",".join(map(str, row)) for row in [("s", "u", "i", "t"), *rows]]
        paths[name].write_text("\n".join(lines) + "\n")
    options = ConversionOptions(
        output=str(tmp_path / "DS"),
        train=[str(paths["train"])],
        test=[str(paths["test"])],
        session_col="s",
        user_col="u",
        item_col="i",
        time_col="t",
        audit=True,
    )
    return convert(options).audit


def test_planted_leaks_are_counted(tmp_path):
    found = audit(tmp_path, TRAIN, TEST)
    assert found.sequences_in_several_splits == {"train+test": 1}
    assert found.users_in_several_splits == {"train+test": 2}
    assert found.events_before_latest_training_event == {"test": 2}
    assert found.share_before_latest_training_event == {"test": 2 / 7}
    assert found.unseen_items == {"test": 1}
    assert found.unseen_item_events == {"test": 2}
    assert found.identical_sequences == {"train+test": 1}
    # Targets are the test events with one before them, without the dropped item 88: s3 6 at 51, s4 5 at 201 (s2 has
    # one event left). Item 6 was last consumed in training at 20 by u2 and at 11 by u1; item 5 at 10.
    assert found.targets == {"test": 2}
    assert found.targets_before_history == found.targets_at_history_time == {"test": 0}
    assert found.cross_user_future_targets == found.targets_unseen_at_their_time == {"test": 0}


def test_training_events_that_give_targets_away_are_counted(tmp_path):
    train = [
        *[("s1", "u1", 5, 10), ("s1", "u1", 6, 500)],  # u1 itself consumes 6 later
        *[("s2", "u2", 7, 20), ("s2", "u2", 7, 600)],
        *[("s5", "u5", 8, 700), ("s5", "u5", 8, 800)],  # nobody knows 8 before 700
        *[("s6", "u6", 5, 100), ("s6", "u6", 9, 100)],
    ]
    test = [
        *[("s3", "u1", 5, 50), ("s3", "u1", 6, 50), ("s3", "u1", 7, 55)],
        *[("s4", "u4", 9, 60), ("s4", "u4", 8, 650), ("s4", "u4", 5, 99), ("s4", "u4", 5, 100), ("s4", "u4", 6, 499)],
    ]
    found = audit(tmp_path, train, test)
    # Sorted by time, s4 is 9 at 60, 5 at 99, 5 at 100, 6 at 499, 8 at 650.
    # Target       known later by others in training?        first seen in training
    # u1 6 at 50   no: only u1 itself, at 500                later: at 500
    # u1 7 at 55   yes: u2 at 600                            at 20
    # u4 5 at 99   yes: u6 at 100                            at 10
    # u4 5 at 100  no: u6 at 100 is not later                at 10
    # u4 6 at 499  yes: u1 at 500                            later: at 500
    # u4 8 at 650  yes: u5 at 800                            later: at 700
    assert found.targets == {"test": 6}
    assert found.targets_at_history_time == {"test": 1}  # u1 6 at 50, as the event before
    assert found.cross_user_future_targets == {"test": 4}
    assert found.targets_unseen_at_their_time == {"test": 3}


def test_a_clean_split_reports_zeros(tmp_path):
    found = audit(tmp_path, TRAIN, [("s9", "u9", 7, 300), ("s9", "u9", 5, 301)])
    assert found.targets == {"test": 1}
    assert [set(values.values()) for values in found.model_dump(exclude={"targets"}).values()] == [{0}] * 11


def test_order_and_length_matter_for_identical_sequences(tmp_path):
    rows = [
        ("s8", "u8", 6, 300),
        ("s8", "u8", 5, 301),
        ("s9", "u9", 5, 300),
        ("s9", "u9", 6, 301),
        ("s9", "u9", 5, 302),
    ]
    assert audit(tmp_path, TRAIN, rows).identical_sequences == {"train+test": 0}


def test_leave_one_out_leaks_in_time(tmp_path):
    table = pa.table(
        {
            "user_id": [1, 1, 1, 1, 2, 2, 2, 2],
            "item_id": [5, 6, 5, 6, 5, 6, 5, 6],
            "timestamp": [1, 2, 3, 4, 11, 12, 13, 14],
        }
    )
    manifest = convert(ConversionOptions(output=str(tmp_path / "DS"), split="leave_one_out", audit=True), table=table)
    # The latest training event is at 12: the test event of user 1 (4) is earlier, that of user 2 (14) is not.
    assert manifest.audit.events_before_latest_training_event == {"valid": 1, "test": 1}
    assert manifest.audit.share_before_latest_training_event == {"valid": 0.5, "test": 0.5}
