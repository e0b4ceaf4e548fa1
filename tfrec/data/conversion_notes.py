"""What a person should know about a finished conversion: where events went, and times that are hardly right."""

from __future__ import annotations

from datetime import datetime, timezone

from tfrec.data.manifest import Manifest

_MILLISECONDS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
_DAY_MS = 86_400_000
_EARLIEST_MS = 631_152_000_000  # 1990


def dropped_events(manifest: Manifest) -> list[tuple[str, int]]:
    """Returns why events that were read are in no split, and how many, reasons without events left out."""
    filters = manifest.filters
    texts = {
        "where": "rows not selected by --where",
        "consecutive_duplicates": "same item as just before (--drop-consecutive-duplicates)",
        "rare_items": f"items with fewer than {filters.min_item_count} events (--min-item-count)",
        "short_sequences": f"sequences with fewer than {filters.min_seq_len} events (--min-seq-len)",
        "crossing_a_boundary": "sessions that run across a boundary: their events after it",
        "unknown_items": "valid/test events of items without training events (--unknown-items keep or oov keeps them)",
        "too_short_in_split": "sequences left with a single event",
    }
    counts = manifest.counts.dropped_events
    return [(texts.get(reason, reason.replace("_", " ")), count) for reason, count in counts.items() if count]


def time_warnings(manifest: Manifest, now: datetime | None = None) -> list[str]:
    """Returns warnings about times before 1990 or after tomorrow, with the unit that would explain them.

    Args:
        manifest: Of a finished conversion.
        now: The present; default: the clock.

    Returns:
        Sentences for people; empty when all times are plausible.
    """
    present = now or datetime.now(timezone.utc)
    latest = int(present.timestamp() * 1000) + _DAY_MS
    first, last = manifest.first_time, manifest.last_time
    if first >= _EARLIEST_MS and last <= latest:
        return []
    wrong = f"begin on {_day(first)}, before 1990" if first < _EARLIEST_MS else f"end on {_day(last)}, in the future"
    text = f"The times in column `{manifest.columns.time}`, read in {manifest.columns.time_unit}, {wrong}."
    for unit, factor in _MILLISECONDS.items():
        scale = factor / _MILLISECONDS[manifest.columns.time_unit]
        if manifest.columns.time_unit_reason != "datetime column" and scale != 1:
            low, high = first * scale, last * scale
            if low >= _EARLIEST_MS and high <= latest:
                return [f"{text} In {unit} they would run from {_day(low)} to {_day(high)}: give --time-unit {unit}."]
    if last < _EARLIEST_MS:
        return [f"{text} If they are positions and no times, ignore this, but split by no rule that counts days."]
    return [f"{text} Check the column and --time-unit; rules that count days go by the last event."]


def _day(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc).strftime("%Y-%m-%d")
