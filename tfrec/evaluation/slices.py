"""Groups of targets whose metrics are shown apart: popular and rare items, active and new users, cold items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tfrec.evaluation.ranked_targets import RankedTargets

Mask = NDArray[np.bool_]
POPULARITY_BUCKETS: tuple[str, ...] = ("head", "mid", "tail")


@dataclass(frozen=True)
class Slice:
    """Some of the targets.

    Args:
        name: For example `head`.
        description: What is in it, with the bounds in figures.
        mask: Which targets, `[targets]`.
    """

    name: str
    description: str
    mask: Mask


@dataclass(frozen=True)
class Slicing:
    """A partition of all targets.

    Args:
        name: For example `item popularity`.
        description: By what targets are told apart.
        slices: The parts.
    """

    name: str
    description: str
    slices: list[Slice]


def target_slices(targets: RankedTargets, item_counts: NDArray[np.int64], cold_events: int) -> list[Slicing]:
    """Cuts the targets in three ways.

    Args:
        targets: The targets.
        item_counts: Number of training events by item index, `[vocab]`.
        cold_events: Items with fewer training events are cold.

    Returns:
        By popularity of the item, activity of the user and age of the item in training.
    """
    return [
        _by_popularity(targets, item_counts),
        _by_activity(targets),
        _by_age(targets, item_counts, cold_events),
    ]


def popularity_buckets(item_counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the bucket of every item index: 0 head, 1 mid, 2 tail; -1 for items without training events.

    Going from the most popular item down, the head ends where a third of the training events is reached, the middle
    where two thirds are; items with equally many events are never parted.

    Args:
        item_counts: Number of training events by item index, `[vocab]`.

    Returns:
        `[vocab]`.
    """
    bounds = _bucket_bounds(item_counts)
    bucket = np.where(item_counts >= bounds[0], 0, np.where(item_counts >= bounds[1], 1, 2))
    return np.where(item_counts > 0, bucket, -1)


def _bucket_bounds(item_counts: NDArray[np.int64]) -> tuple[int, int]:
    """Smallest number of events of an item of the head, and of the middle."""
    ordered = np.sort(item_counts)[::-1]
    reached = np.cumsum(ordered)
    head, middle = (int(ordered[np.searchsorted(reached, reached[-1] * share)]) for share in (1 / 3, 2 / 3))
    return max(1, head), max(1, middle)


def _by_popularity(targets: RankedTargets, item_counts: NDArray[np.int64]) -> Slicing:
    head, middle = _bucket_bounds(item_counts)
    buckets = popularity_buckets(item_counts)  # [vocab]
    ranges = (f"{head:,} or more", _range(middle, head - 1), _range(1, middle - 1))
    slices = []
    for number, (name, bounds) in enumerate(zip(POPULARITY_BUCKETS, ranges, strict=True)):
        items = int((buckets == number).sum())
        description = f"{items:,} items with {bounds} training events" if items else "no item"
        # An unknown item is as rare as can be.
        mask = (buckets[targets.item] == number) | ((number == 2) & (buckets[targets.item] == -1))
        slices.append(Slice(name, description, mask))
    return Slicing(
        "item popularity", "thirds of the training events, from the most popular items to the rarest", slices
    )


def _by_activity(targets: RankedTargets) -> Slicing:
    first, second = (int(np.quantile(targets.position, share, method="lower")) for share in (1 / 3, 2 / 3))
    few, many = targets.position <= first, targets.position > second
    slices = [
        Slice("few", f"up to {first:,} events before the target", few),
        Slice("some", f"{_range(first + 1, second)} events" if second > first else "no target", ~few & ~many),
        Slice("many", f"more than {second:,} events", many),
    ]
    return Slicing("user activity", "number of events before the target, thirds of the targets", slices)


def _by_age(targets: RankedTargets, item_counts: NDArray[np.int64], cold_events: int) -> Slicing:
    events = item_counts[targets.item]  # [targets]; none for padding and out of vocabulary
    slices = [
        Slice("warm", f"{cold_events:,} or more training events", events >= cold_events),
        Slice("cold", f"{_range(1, cold_events - 1)} training events", (events > 0) & (events < cold_events)),
        Slice("unseen", "no training event", events == 0),
    ]
    return Slicing("item age in training", "number of training events of the item", slices)


def _range(low: int, high: int) -> str:
    return f"{low:,} to {high:,}" if high > low else f"{low:,}"
