from __future__ import annotations

import numpy as np

from tests.evaluation.ranked import make_targets
from tfrec.evaluation.slices import popularity_buckets, target_slices

# Events of the items 2..9; 30 in all: a third is reached with the first item, two thirds with the third.
COUNTS = np.array([0, 0, 12, 5, 5, 3, 2, 2, 1, 0])


def test_buckets_hold_a_third_of_the_events_each() -> None:
    # Cumulated 12 17 22 25 27 29 30: 10 is reached by item 2, 20 by item 4; item 3 is as popular as item 4. Item 9 has
    # no training event.
    assert popularity_buckets(COUNTS).tolist() == [-1, -1, 0, 1, 1, 2, 2, 2, 2, -1]
    assert popularity_buckets(np.array([0, 0, 4, 4, 4])).tolist() == [-1, -1, 0, 0, 0]


def test_every_target_is_in_one_slice_of_each_kind() -> None:
    items = [2, 2, 3, 5, 8, 9, 1]
    positions = [1, 1, 2, 2, 3, 8, 9]
    targets = make_targets([1.0] * 6 + [np.inf], item=items, position=positions)
    found = {
        slicing.name: {part.name: part for part in slicing.slices} for slicing in target_slices(targets, COUNTS, 3)
    }
    masks = {
        kind: {name: np.flatnonzero(part.mask).tolist() for name, part in parts.items()}
        for kind, parts in found.items()
    }
    assert masks["item popularity"] == {"head": [0, 1], "mid": [2], "tail": [3, 4, 5, 6]}
    # Thirds of the sorted positions 1 1 2 2 3 8 9: the bounds are 2 (index 2) and 3 (index 4).
    assert masks["user activity"] == {"few": [0, 1, 2, 3], "some": [4], "many": [5, 6]}
    assert masks["item age in training"] == {"warm": [0, 1, 2, 3], "cold": [4], "unseen": [5, 6]}
    for parts in found.values():
        assert sum(part.mask.astype(int) for part in parts.values()).tolist() == [1] * 7
    assert found["item popularity"]["mid"].description == "2 items with 5 to 11 training events"
    assert found["user activity"]["some"].description == "3 events"
    assert found["item age in training"]["cold"].description == "1 to 2 training events"
