"""What could leak from one split into another."""

from __future__ import annotations

from tfrec.data.event_loader import LoadedEvents
from tfrec.data.manifest import AuditRecord
from tfrec.data.splits import SPLITS, SplitPlan
from tfrec.data.work_database import WorkDatabase

_PAIRS = ((0, 1), (0, 2), (1, 2))


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
        events earlier than the latest training event, their share, and items without training events.
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
    return AuditRecord(
        sequences_in_several_splits=crossing,
        users_in_several_splits=users,
        events_before_latest_training_event=early,
        share_before_latest_training_event=share,
        unseen_items=unseen,
        unseen_item_events=unseen_events,
        identical_sequences=identical,
    )
