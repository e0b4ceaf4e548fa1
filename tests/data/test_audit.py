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


def test_a_clean_split_reports_zeros(tmp_path):
    found = audit(tmp_path, TRAIN, [("s9", "u9", 7, 300), ("s9", "u9", 5, 301)])
    assert [set(values.values()) for values in found.model_dump().values()] == [{0}] * 7


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
