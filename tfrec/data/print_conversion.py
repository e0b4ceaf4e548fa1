"""What a conversion made, on the console."""

from __future__ import annotations

from datetime import datetime, timezone

from rich.console import Console

from tfrec.data.audit_findings import audit_findings
from tfrec.data.conversion_notes import dropped_events
from tfrec.data.manifest import AuditRecord, Manifest
from tfrec.data.splits import DAY_MS
from tfrec.tables import make_table


def print_conversion(manifest: Manifest, output: str, console: Console, *, dry_run: bool) -> None:
    """Prints counts and times of a dataset by split, what was dropped and why, and what connects the splits.

    Args:
        manifest: Its manifest.
        output: Where it is, or would be.
        console: Where to print.
        dry_run: Nothing was written.
    """
    counts = manifest.counts
    rows: list[list[str]] = []
    splits = manifest.splits.values()

    def add(name: str, total: str, values: list[str]) -> None:
        rows.append([name, total, *values])

    own = [split.events if split.own_events is None else split.own_events for split in splits]
    add("events", f"{counts.events:,}", [f"{events:,}" for events in own])
    if own != [split.events for split in splits]:
        add("with history", "", [f"{split.events:,}" for split in splits])
    add("sequences", f"{counts.sequences:,}", [f"{split.sequences:,}" for split in splits])
    add("targets", "", [f"{split.targets:,}" for split in splits])
    add("users" if manifest.columns.user else "sessions", f"{counts.users:,}", ["" for _ in splits])
    add("items", f"{counts.items:,}", ["" for _ in splits])
    if counts.cold_items:
        add("untrained items", f"{counts.cold_items:,}", ["" for _ in splits])
    days = (manifest.last_time - manifest.first_time) / DAY_MS
    add("days", f"{days:.1f}", [f"{(split.last_time - split.first_time) / DAY_MS:.1f}" for split in splits])
    add("mean length", "", [f"{split.mean_length:.2f}" for split in splits])
    add("median length", "", [f"{split.median_length:.1f}" for split in splits])
    add("max length", "", [f"{split.max_length:,}" for split in splits])
    add("first event (UTC)", _utc(manifest.first_time), [_utc(split.first_time) for split in splits])
    add("last event (UTC)", _utc(manifest.last_time), [_utc(split.last_time) for split in splits])
    title = f"{counts.events_read:,} events read, {counts.events:,} of them in the dataset"
    console.print(make_table(title, ["", "in all", *manifest.splits], rows))
    print_dropped(manifest, console)
    for noun, record in (("Item", manifest.items), ("User", manifest.users)):
        if record is not None:
            features = ", ".join(f"{feature.name} ({feature.kind})" for feature in record.features)
            console.print(f"{noun} features: {features or 'none'}.", markup=False)
    console.print(f"Split: {manifest.split.rule} ({manifest.split.note}).", markup=False)
    for name, boundary in manifest.split.boundaries.items():
        console.print(f"{name} begins at {_utc(boundary)} UTC ({boundary} ms since 1970).")
    console.print(f"Time column in {manifest.columns.time_unit}: {manifest.columns.time_unit_reason}.")
    if manifest.audit is not None:
        findings = _audit_rows(manifest, manifest.audit)
        console.print(
            make_table("Audit: what connects the splits", ["", "split", "count", "share", "verdict"], findings)
        )
    print_destination(output, console, dry_run=dry_run)


def print_destination(output: str, console: Console, *, dry_run: bool) -> None:
    """Prints where a dataset is, or that nothing was written there."""
    console.print(f"Nothing was written to {output} (--dry-run)." if dry_run else f"Dataset: {output}", markup=False)


def print_dropped(manifest: Manifest, console: Console) -> None:
    """Prints how many events and sequences of the log are in no split, and why; nothing where none is missing.

    Args:
        manifest: Of a finished conversion.
        console: Where to print.
    """
    counts = manifest.counts
    rows = [(reason, f"{count:,}") for reason, count in dropped_events(manifest)]
    if rows:
        title = f"{counts.events_read - counts.events:,} events dropped"
        if gone := counts.dropped_sequences.get("before_split", 0):
            sessions = manifest.columns.session or manifest.filters.session_gap_seconds is not None
            title += f", with them {gone:,} {'sessions' if sessions else 'users'}"
        console.print(make_table(title, ["reason", "events"], rows))


def _audit_rows(manifest: Manifest, audit: AuditRecord) -> list[tuple[str, ...]]:
    splits = [split for split in manifest.splits if split != "train"]
    return [
        (
            finding["label"],
            finding["split"],
            f"{finding['count']:,}",
            "" if finding["share"] is None else f"{100 * finding['share']:.2f} %",
            finding["level"],
        )
        for finding in audit_findings(audit, manifest, splits)
    ]


def _utc(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M")
