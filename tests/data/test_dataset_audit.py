"""The audit of a dataset directory beside the audit of its conversion, and beside a loop over all pairs of events."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.sequence_batches import make_arrays
from tfrec.data import dataset_audit
from tfrec.data.audit_findings import audit_document, audit_findings
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.dataset_audit import audit_arrays, audit_dataset
from tfrec.data.sequence_arrays import SequenceArrays

FIELDS = ("targets", "targets_before_history", "targets_at_history_time")
FIELDS = (*FIELDS, "cross_user_future_targets", "targets_unseen_at_their_time")


def log(seed: int, *, users: int = 40, items: int = 30, events: int = 600, text: bool = False) -> pa.Table:
    rng = np.random.default_rng(seed)
    names = np.array([f"user {number}" for number in range(users)], object) if text else np.arange(users)
    return pa.table(
        {
            "user_id": names[rng.integers(0, users, events)],
            "item_id": rng.integers(0, items, events) ** 2,  # some items are rare
            "timestamp": 1_600_000_000 + rng.integers(0, 300, events) * 86_400,
        }
    )


def slow_audit(train: SequenceArrays, other: SequenceArrays) -> tuple[int, ...]:
    """Every target against every training event."""
    events = [
        (train.user_ids[row], train.items[place], train.timestamps[place])
        for row in range(len(train))
        for place in range(train.offsets[row], train.offsets[row + 1])
    ]
    found = dict.fromkeys(FIELDS, 0)
    for row in range(len(other)):
        stop = int(other.offsets[row + 1])
        for place in range(stop - int(other.num_targets[row]), stop):
            time, item, user = other.timestamps[place], other.items[place], other.user_ids[row]
            of_item = [(who, when) for who, what, when in events if what == item]
            found["targets"] += 1
            found["targets_before_history"] += time < other.timestamps[place - 1]
            found["targets_at_history_time"] += time == other.timestamps[place - 1]
            found["cross_user_future_targets"] += any(who != user and when > time for who, when in of_item)
            found["targets_unseen_at_their_time"] += bool(of_item) and min(when for _, when in of_item) > time
    return tuple(int(found[name]) for name in FIELDS)


@pytest.mark.parametrize("rule", ["leave_one_out", "global_time", "random_user"])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("unknown", ["drop", "oov"])
def test_agrees_with_the_conversion_and_with_the_slow_loop(rule: str, text: bool, unknown: str, tmp_path: Path) -> None:
    options = {"split": rule, "unknown_items": unknown, "min_seq_len": 3}
    table = log(seed=1, text=text)
    recorded = convert(ConversionOptions(output=str(tmp_path / "A"), audit=True, **options), table=table).audit
    convert(ConversionOptions(output=str(tmp_path / "B"), **options), table=table)
    dataset = InteractionDataset.open(tmp_path / "B")
    assert recorded is not None
    assert audit_dataset(InteractionDataset.open(tmp_path / "A"), "test") == recorded
    found = audit_dataset(dataset, "test")
    assert found is not None
    expected = slow_audit(dataset.load_ragged("train"), dataset.load_ragged("test"))
    assert tuple(getattr(found, name)["test"] for name in FIELDS) == expected
    assert tuple(getattr(recorded, name)["test"] for name in FIELDS) == expected
    assert found.users_in_several_splits["train+test"] == recorded.users_in_several_splits["train+test"]
    early = found.share_before_latest_training_event["test"]
    assert early == pytest.approx(recorded.share_before_latest_training_event["test"], abs=0.02)
    assert (expected[3] > 0) == (rule != "global_time")
    assert (early > 0) == (rule != "global_time")


def test_a_target_earlier_than_its_history_is_found() -> None:
    arrays = make_arrays([[2, 3], [4, 5]])
    times = arrays.timestamps.copy()
    times[[2, 3]] = 9, 4
    broken = SequenceArrays(arrays.items, times, arrays.offsets, arrays.num_targets, arrays.user_ids)
    found = audit_arrays(arrays, broken, "test", history=False)
    assert found.targets_before_history == {"test": 1}


def test_levels_and_words(tmp_path: Path) -> None:
    manifest = convert(ConversionOptions(output=str(tmp_path / "DS"), split="leave_one_out", audit=True), table=log(2))
    assert manifest.audit is not None
    findings = {(found["name"], found["split"]): found for found in audit_findings(manifest.audit, manifest, ["test"])}
    leak = findings["cross_user_future", "test"]
    assert leak["level"] == "leak"
    assert leak["of"] == manifest.splits["test"].targets
    assert leak["share"] == pytest.approx(leak["count"] / leak["of"])
    assert findings["target_before_history", "test"]["level"] == "ok"
    assert findings["target_before_history", "test"]["explanation"] == ""
    assert findings["users_in_several_splits", "train+test"]["level"] == "note"  # by design of the rule
    document = audit_document(manifest.audit, manifest, "test", None)
    assert document["note"] == "leaks across users in time"
    assert not document["clean"]
    assert all(math.isfinite(found["count"]) for found in document["findings"])
    clean = convert(ConversionOptions(output=str(tmp_path / "C"), split="global_time", audit=True), table=log(2))
    assert audit_document(clean.audit, clean, "test", None)["clean"]
    apart = convert(ConversionOptions(output=str(tmp_path / "R"), split="random_user", audit=True), table=log(2))
    planted = apart.audit.model_copy(update={"users_in_several_splits": {"train+test": 1}})
    levels = {found["name"]: found["level"] for found in audit_findings(planted, apart, ["test"])}
    assert levels["users_in_several_splits"] == "leak"  # whole users are what this rule promises


def test_places_are_not_taken_for_times(tmp_path: Path) -> None:
    table = log(4)
    places = table.set_column(2, "timestamp", pa.array(np.arange(600)))
    options = ConversionOptions(output=str(tmp_path / "DS"), split="leave_one_out", audit=True, time_unit="ms")
    manifest = convert(options, table=places)
    document = audit_document(manifest.audit, manifest, "test", None)
    levels = {found["name"]: found["level"] for found in document["findings"]}
    assert manifest.audit.cross_user_future_targets["test"] > 0
    assert levels["cross_user_future"] == levels["before_latest_training_event"] == "note"
    assert not document["clean"]
    assert "not clock times" in document["skipped"]


def test_too_much_data_is_left_to_the_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = convert(ConversionOptions(output=str(tmp_path / "DS"), split="leave_one_out"), table=log(3))
    monkeypatch.setattr(dataset_audit, "MAX_TRAINING_EVENTS", 10)
    assert audit_dataset(InteractionDataset.open(tmp_path / "DS"), "test") is None
    document = audit_document(None, manifest, "test", "too large")
    assert (document["clean"], document["skipped"], document["findings"]) == (False, "too large", [])
