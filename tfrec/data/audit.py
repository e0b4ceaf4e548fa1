"""What could leak from one split into another."""

from __future__ import annotations

from tfrec.data.event_loader import LoadedEvents
from tfrec.data.manifest import AuditRecord
from tfrec.data.split_sequences import split_events
from tfrec.data.splits import SPLITS, SplitPlan
from tfrec.data.work_database import WorkDatabase

_PAIRS = ((0, 1), (0, 2), (1, 2))
TARGET_COUNTS = (
    "targets",
    "targets_before_history",
    "targets_at_history_time",
    "cross_user_future_targets",
    "targets_unseen_at_their_time",
)


def audit_splits(work: WorkDatabase, loaded: LoadedEvents, plan: SplitPlan, unknown_items: str) -> AuditRecord:
    """Counts what connects the splits: some of it is by design of the rule, all of it belongs in a report.

    Args:
        work: The work database, with `folded`, `keys`, `vocabulary_i` and the sequence tables.
        loaded: What was loaded.
        plan: How it was split.
        unknown_items: `drop` or `oov`.

    Returns:
        Per pair of splits (`train+test`): sequences and users with events in both, and sequences of the later split
        whose items are, in order, those of a sequence of the earlier one (compared by a 64-bit hash). Per split: own
        events earlier than the latest training event, their share, items without training events, and of the targets
        how many are earlier than (or at the same millisecond as) the event before them, how many are of an item that
        somebody else consumes later in the training split, and how many of one whose training events are all later.
    """
    present = {fold: work.scalar(f"SELECT count(*) FROM folded WHERE fold = {fold}") for fold in range(len(SPLITS))}
    pairs = [(a, b) for a, b in _PAIRS if present[a] and present[b]]
    crossing, users, identical = {}, {}, {}
    letter = "u" if loaded.roles.user else "s"
    work.run(
        "CREATE TEMP TABLE hashed AS SELECT q, fold, bit_xor(hash(i || ':' || place)) AS h, count(*) AS n FROM "
        "(SELECT q, fold, i, row_number() OVER (PARTITION BY q, fold ORDER BY t, pos) AS place FROM folded) "
        "GROUP BY q, fold"
    )
    for a, b in pairs:
        name = f"{SPLITS[a]}+{SPLITS[b]}"
        both = "SELECT {0} FROM {1} WHERE fold = {2} INTERSECT SELECT {0} FROM {1} WHERE fold = {3}"
        crossing[name] = work.scalar(f"SELECT count(*) FROM ({both.format('q', 'hashed', a, b)})")
        owners = f"(SELECT {letter} AS o, fold FROM hashed JOIN keys USING (q))"
        users[name] = work.scalar(f"SELECT count(*) FROM ({both.format('o', owners, a, b)})")
        identical[name] = work.scalar(
            f"SELECT count(*) FROM (SELECT h, n FROM hashed WHERE fold = {b} AND n > 1) "
            f"SEMI JOIN (SELECT h, n FROM hashed WHERE fold = {a}) USING (h, n)"
        )
    latest = work.scalar("SELECT max(ms) FROM folded WHERE fold = 0")
    early, share, unseen, unseen_events = {}, {}, {}, {}
    for fold in (1, 2):
        if not present[fold]:
            continue
        split = SPLITS[fold]
        early[split] = work.scalar(f"SELECT count(*) FROM folded WHERE fold = {fold} AND ms < {latest}")
        share[split] = early[split] / present[fold]
        unseen[split], unseen_events[split] = work.row(
            f"SELECT count(DISTINCT i), count(*) FROM (SELECT i FROM folded WHERE fold = {fold}) "
            "ANTI JOIN vocabulary_i AS v ON v.code = i"
        )
    work.run("DROP TABLE hashed")
    targets = _audit_targets(work, plan, unknown_items, letter, [fold for fold in (1, 2) if present[fold]])
    return AuditRecord(
        sequences_in_several_splits=crossing,
        users_in_several_splits=users,
        events_before_latest_training_event=early,
        share_before_latest_training_event=share,
        unseen_items=unseen,
        unseen_item_events=unseen_events,
        identical_sequences=identical,
        **targets,
    )


def _audit_targets(
    work: WorkDatabase, plan: SplitPlan, unknown_items: str, letter: str, folds: list[int]
) -> dict[str, dict[str, int]]:
    """What training events give away about the targets of valid and test."""
    trained = "folded SEMI JOIN sequences_train USING (q) JOIN keys USING (q) WHERE fold = 0"
    # Per item its first training event, and the last ones of the two owners whose last ones are the latest.
    work.run(
        "CREATE TEMP TABLE item_times AS SELECT i, min(first) AS first_trained, "
        "max(last) FILTER (place = 1) AS last_trained, max(owner) FILTER (place = 1) AS owner, "
        "max(last) FILTER (place = 2) AS other_last FROM (SELECT i, owner, first, last, row_number() OVER "
        f"(PARTITION BY i ORDER BY last DESC, owner) AS place FROM (SELECT i, {letter} AS owner, min(ms) AS first, "
        f"max(ms) AS last FROM {trained} GROUP BY i, {letter})) GROUP BY i"
    )
    found: dict[str, dict[str, int]] = {name: {} for name in TARGET_COUNTS}
    for fold in folds:
        split = SPLITS[fold]
        events = (
            "SELECT q, i, ms, lag(ms) OVER (PARTITION BY q ORDER BY t, pos) AS before, row_number() OVER (PARTITION BY "
            f"q ORDER BY t DESC, pos DESC) AS back FROM ({split_events(plan, fold, unknown_items)})"
        )
        counts = work.row(
            "SELECT count(*), count(*) FILTER (ms < before), count(*) FILTER (ms = before), "
            f"count(*) FILTER (CASE WHEN owner = keys.{letter} THEN other_last ELSE last_trained END > ms), "
            f"count(*) FILTER (first_trained > ms) FROM ({events}) JOIN sequences_{split} AS s USING (q) "
            "JOIN keys USING (q) LEFT JOIN item_times USING (i) WHERE back <= s.k"
        )
        for name, count in zip(TARGET_COUNTS, counts, strict=True):
            found[name][split] = count
    work.run("DROP TABLE item_times")
    return found
