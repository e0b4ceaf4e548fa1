"""The leak audit of a dataset directory, from its own examples: for data that was converted without `--audit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.data.audit import TARGET_COUNTS
from tfrec.data.dataset import InteractionDataset
from tfrec.data.manifest import AuditRecord
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.data.vocabulary import FIRST_INDEX

MAX_TRAINING_EVENTS = 20_000_000

Integers = npt.NDArray[np.int64]


def audit_dataset(dataset: InteractionDataset, split: str) -> AuditRecord | None:
    """Looks for what connects a split with the training split.

    Args:
        dataset: An open dataset.
        split: `valid` or `test`.

    Returns:
        The audit of the conversion where there is one, else what the examples say of `split` (an example does not tell
        the sequences that a rule cut in two, so these are not counted); None when there are more training events than
        `MAX_TRAINING_EVENTS`, which are held in memory.

    Raises:
        DataError: A shard is damaged.
    """
    recorded = dataset.manifest.audit
    if recorded is not None and split in recorded.targets:
        return recorded
    if dataset.num_events("train") > MAX_TRAINING_EVENTS:
        return None
    manifest = dataset.manifest
    rule = manifest.split.rule
    return audit_arrays(
        dataset.load_ragged("train"),
        dataset.load_ragged(split),
        split,
        history=rule in ("leave_one_out", "global_time") or (rule == "given" and manifest.columns.session is None),
        unseen_item_events=manifest.splits[split].unknown_item_events,
    )


def audit_arrays(
    train: SequenceArrays, other: SequenceArrays, split: str, *, history: bool, unseen_item_events: int = 0
) -> AuditRecord:
    """As `audit_dataset`, from sequences in memory.

    Args:
        train: The training split.
        other: The split that is measured.
        split: Its name.
        history: Whether examples of `other` begin with events of the training split.
        unseen_item_events: Events of items without training events, which examples may have lost.
    """
    _, owners = np.unique(np.concatenate([train.user_ids, other.user_ids]), return_inverse=True)
    train_owner, owner = owners[: len(train)], owners[len(train) :]  # [sequences]
    first, last, last_owner, other_last = _item_times(train, train_owner)  # [items] each
    row = np.repeat(np.arange(len(other)), other.lengths)  # [events]
    back = other.offsets[1:][row] - np.arange(row.size)  # [events]; 1 for the last event of a sequence
    at = np.flatnonzero((back <= other.num_targets[row]) & (back < other.lengths[row]))  # [targets]
    time, before = other.timestamps[at], other.timestamps[at - 1]  # [targets]
    item = np.where(other.items[at] < first.size, other.items[at], 0)  # [targets]
    known = first[item] < _NEVER  # [targets]
    later = np.where(last_owner[item] == owner[row[at]], other_last[item], last[item])  # [targets]
    counts = (
        at.size,
        int((time < before).sum()),
        int((time == before).sum()),
        int((known & (later > time)).sum()),
        int((known & (first[item] > time)).sum()),
    )
    own = np.flatnonzero(back <= other.num_targets[row]) if history else np.arange(row.size)
    early = int((other.timestamps[own] < train.timestamps.max(initial=-_NEVER)).sum())
    pair = f"train+{split}"
    shared = np.intersect1d(train_owner, owner).size
    seen: dict[str, dict[str, Any]] = {name: {split: count} for name, count in zip(TARGET_COUNTS, counts, strict=True)}
    return AuditRecord(
        sequences_in_several_splits={},
        users_in_several_splits={pair: shared},
        events_before_latest_training_event={split: early},
        share_before_latest_training_event={split: early / max(1, own.size)},
        unseen_items={},
        unseen_item_events={split: unseen_item_events},
        identical_sequences={},
        **seen,
    )


_NEVER = np.iinfo(np.int64).max


def _item_times(train: SequenceArrays, owner: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """By item: its first event, its last one, whose that is, and the last one of anybody else."""
    size = int(train.items.max(initial=FIRST_INDEX)) + 1
    first = np.full(size, _NEVER)
    np.minimum.at(first, train.items, train.timestamps)
    last, last_owner, other_last = np.full(size, -_NEVER), np.full(size, -1), np.full(size, -_NEVER)
    event_owner = np.repeat(owner, train.lengths)  # [events]
    # The last event of each (item, owner), ascending by item and time: the last two of an item are of two owners.
    order = np.lexsort((train.timestamps, event_owner, train.items))
    items, owners, times = train.items[order], event_owner[order], train.timestamps[order]
    final = (
        np.append((items[1:] != items[:-1]) | (owners[1:] != owners[:-1]), True) if items.size else np.zeros(0, bool)
    )
    items, owners, times = items[final], owners[final], times[final]
    order = np.lexsort((times, items))
    items, owners, times = items[order], owners[order], times[order]
    best = np.flatnonzero(np.append(items[1:] != items[:-1], True))
    last[items[best]], last_owner[items[best]] = times[best], owners[best]
    second = best[(best > 0) & (items[best - 1] == items[best])] - 1
    other_last[items[second]] = times[second]
    return first, last, last_owner, other_last
