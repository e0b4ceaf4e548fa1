"""Warnings about times that are hardly right, and where events went."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.conversion_notes import dropped_events, time_warnings
from tfrec.data.manifest import Manifest

NOW = datetime(2025, 6, 1, 12, tzinfo=timezone.utc)
T2024 = 1_704_067_200  # 2024-01-01 00:00:00 UTC
TODAY = 1_748_736_000  # 2025-06-01 00:00:00 UTC
DAY = 86_400


@pytest.fixture
def manifest(tmp_path):
    def run(times: list[Any], **options: Any) -> Manifest:
        settings = {"split": "random_user", "test_fraction": 0, "valid_fraction": 0, "dry_run": True, **options}
        table = pa.table({"session_id": [1] * len(times), "item_id": range(len(times)), "timestamp": times})
        return convert(ConversionOptions(output=str(tmp_path / "DS"), **settings), table=table)

    return run


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([T2024, T2024 + DAY], "s"),
        ([T2024 * 1000, T2024 * 1000 + 1], "ms"),
        ([631_152_000, TODAY + DAY], "s"),  # the first second of 1990, and midnight of tomorrow
        ([datetime(2024, 1, 1), datetime(2024, 1, 2)], "auto"),
    ],
)
def test_plausible_times(manifest, times, unit):
    assert time_warnings(manifest(times, time_unit=unit), NOW) == []


@pytest.mark.parametrize(
    ("times", "unit", "right", "begin"),
    [
        ([T2024, T2024 + DAY], "ms", "s", "2024-01-01"),
        ([T2024 * 1000, T2024 * 1000 + 1000 * DAY], "us", "ms", "2024-01-01"),
        ([T2024 * 1_000_000, (T2024 + DAY) * 1_000_000], "ns", "us", "2024-01-01"),
        ([T2024 * 1000, (T2024 + DAY) * 1000], "ns", "ms", "2023-12-31"),  # whole milliseconds are left: 1,704,067
        ([T2024, T2024 + DAY], "ns", "s", "2023-12-31"),
    ],
)
def test_the_right_unit_is_named(manifest, times, unit, right, begin):
    (text,) = time_warnings(manifest(times, time_unit=unit), NOW)
    assert f"read in {unit}, begin on 1970-" in text
    assert text.endswith(f"give --time-unit {right}.")
    assert f"In {right} they would run from {begin} to " in text


def test_too_late(manifest):
    # 1e11 ms, read as seconds for being one less than what `auto` takes for milliseconds: the year 5138.
    (text,) = time_warnings(manifest([631_152_000_000 // 10, 99_999_999_999], time_unit="s"), NOW)
    assert "end on 5138-11-16, in the future. Check the column and --time-unit" in text
    (text,) = time_warnings(manifest([T2024, TODAY + 3 * DAY], time_unit="s"), NOW)
    assert "end on 2025-06-04, in the future" in text
    (text,) = time_warnings(manifest([T2024 * 10, T2024 * 10 + DAY], time_unit="s"), NOW)
    assert "in the future" in text


def test_one_zero_among_plausible_times(manifest):
    (text,) = time_warnings(manifest([0, T2024], time_unit="s"), NOW)
    assert "begin on 1970-01-01, before 1990. Check the column" in text


def test_positions_and_old_dates(manifest):
    (text,) = time_warnings(manifest([0, 1, 2], time_unit="ms"), NOW)
    assert text.endswith("If they are positions and no times, ignore this, but split by no rule that counts days.")
    (text,) = time_warnings(manifest([datetime(1971, 1, 1), datetime(1971, 1, 2)]), NOW)
    assert "1971-01-01, before 1990" in text
    assert "--time-unit" not in text


def test_reasons_name_the_options(tmp_path):
    events = [(1, "a", 0), (1, "a", 1), (1, "b", 2), (1, "a", 3), (1, "x", 4), (2, "a", 5), (3, "a", 6), (3, "a", 9)]
    events += [(3, "b", 7), (3, "a", 8), (3, "new", 10), (3, "z", 11)]
    session, item, time = zip(*events, strict=True)
    table = pa.table({"user_id": session, "item_id": item, "timestamp": time, "kind": ["v"] * 11 + ["w"]})
    options = ConversionOptions(
        output=str(tmp_path / "DS"),
        user_col="user_id",
        time_unit="s",
        split="leave_one_out",
        where=("kind=v",),
        drop_consecutive_duplicates=True,
        dry_run=True,
    )
    manifest = convert(options, table=table)
    # User 1: a b a x (x is test and unknown to training); user 3: a b a new (likewise); user 2 has one event.
    assert dropped_events(manifest) == [
        ("rows not selected by --where", 1),
        ("same item as just before (--drop-consecutive-duplicates)", 2),
        ("sequences with fewer than 2 events (--min-seq-len)", 1),
        ("valid/test events of items without training events (--unknown-items keep or oov keeps them)", 2),
    ]
    assert manifest.counts.events_read - manifest.counts.events == 6
