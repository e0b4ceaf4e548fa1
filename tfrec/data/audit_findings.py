"""The leak audit in words: what was counted, out of how many, and whether it makes numbers too good."""

from __future__ import annotations

from typing import Any, Literal

from tfrec.data.manifest import AuditRecord, Manifest

Level = Literal["leak", "note", "ok"]

_TEXTS = {
    "target_before_history": (
        "targets earlier than the event before them",
        "The model is asked for the past from the future. Sort the events by time.",
    ),
    "target_at_history_time": (
        "targets at the same time as the event before them",
        "Which of the two came first is not in the data: timestamps are coarse, or events were logged in batches.",
    ),
    "before_latest_training_event": (
        "events earlier than the latest training event",
        "The model was trained on events that happened after what it is asked to predict.",
    ),
    "cross_user_future": (
        "targets whose item others consume later, in training",
        "Training events of other users, later than the target, tell that its item is in demand.",
    ),
    "unseen_at_target_time": (
        "targets whose item has only later training events",
        "At the time of the target nobody had consumed the item: a model in use could not have known it.",
    ),
    "unseen_items": ("items without training events", "They cannot be learnt from events."),
    "unseen_item_events": (
        "events of items without training events",
        "They are dropped or count as misses, as the conversion was told to.",
    ),
    "users_in_several_splits": ("users in both splits", "A user's earlier events are the history of later ones."),
    "sequences_in_several_splits": ("sequences in both splits", "A sequence's earlier events are the history."),
    "identical_sequences": (
        "sequences with the items of a training sequence",
        "Short sequences repeat by chance; many long ones hint at duplicated logs.",
    ),
}
_TARGET_COUNTS = {
    "target_before_history": "targets_before_history",
    "target_at_history_time": "targets_at_history_time",
    "cross_user_future": "cross_user_future_targets",
    "unseen_at_target_time": "targets_unseen_at_their_time",
}
NO_CLOCK = (
    "All times lie in 1970: they are numbers that keep the order of each user's events, not clock times. What leaks "
    "from one user to another in time cannot be measured."
)
_CLOCK_BEGINS = 365 * 86_400_000  # 1971, in milliseconds
_ACROSS_USERS = {"before_latest_training_event", "cross_user_future", "unseen_at_target_time"}
_LEAKS = {"target_before_history", "before_latest_training_event", "cross_user_future", "unseen_at_target_time"}
_CROSSING = {"users_in_several_splits", "sequences_in_several_splits"}


def audit_findings(audit: AuditRecord, manifest: Manifest, splits: list[str]) -> list[dict[str, Any]]:
    """Judges an audit.

    Args:
        audit: What was counted.
        manifest: Manifest of the data set: rule, columns and sizes.
        splits: Splits to report, of `valid` and `test`.

    Returns:
        Findings with `name`, `label`, `split`, `count`, `of` (None where there is no whole), `share`, `level` (`leak`:
        makes numbers too good; `note`: part of the rule, worth knowing; `ok`: nothing found) and `explanation`.
    """
    findings: list[dict[str, Any]] = []
    # Sessions and whole users belong to one split; users and sequences with history to several, by design.
    apart = manifest.split.rule == "random_user"
    clock = has_clock_times(manifest)

    def add(name: str, split: str, count: int, whole: int | None) -> None:
        level: Level = "ok"
        if count:
            level = "leak" if name in _LEAKS or (apart and name in _CROSSING) else "note"
        label, explanation = _TEXTS[name]
        if name in _ACROSS_USERS and not clock and count:
            level, explanation = "note", NO_CLOCK
        share = count / whole if whole else None
        findings.append(
            {"name": name, "label": label, "split": split, "count": count, "of": whole, "share": share, "level": level}
            | {"explanation": explanation if count else ""}
        )

    for split in splits:
        targets = audit.targets.get(split)
        for name in _TARGET_COUNTS:
            counted = getattr(audit, _TARGET_COUNTS[name])
            if split in counted:
                add(name, split, counted[split], targets)
        early = audit.events_before_latest_training_event.get(split)
        if early is not None:
            share = audit.share_before_latest_training_event[split]
            add("before_latest_training_event", split, early, round(early / share) if share else None)
        for name in ("unseen_items", "unseen_item_events"):
            counted = getattr(audit, name)
            if split in counted:
                add(name, split, counted[split], None)
        for name in ("users_in_several_splits", "sequences_in_several_splits", "identical_sequences"):
            counted = getattr(audit, name)
            for pair, count in counted.items():
                if pair.endswith(f"+{split}"):
                    whole = manifest.splits[split].sequences if name != "users_in_several_splits" else None
                    add(name, pair, count, whole)
    return findings


def has_clock_times(manifest: Manifest) -> bool:
    """Returns whether times of different users can be compared; files without times come with places as times."""
    return manifest.last_time >= _CLOCK_BEGINS


def audit_document(audit: AuditRecord | None, manifest: Manifest, split: str, skipped: str | None) -> dict[str, Any]:
    """Returns the section `audit` of an evaluation document.

    Args:
        audit: What was counted; None when it was not.
        manifest: Manifest of the data set.
        split: The split that is measured.
        skipped: Why there is no audit.

    Returns:
        Rule, note of the rule, findings of the split, `clean` (nothing leaks, as far as all could be looked at) and
        `skipped` (what could not be).
    """
    findings = audit_findings(audit, manifest, [split]) if audit is not None else []
    if skipped is None and not has_clock_times(manifest):
        skipped = NO_CLOCK
    return {
        "rule": manifest.split.rule,
        "note": manifest.split.note,
        "clean": skipped is None and not any(finding["level"] == "leak" for finding in findings),
        "findings": findings,
        "skipped": skipped,
    }
