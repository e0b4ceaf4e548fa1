from __future__ import annotations

import numpy as np
import pytest

from tfrec.evaluation.top_lists import TopListCounter, list_cutoffs

# Four lists of two of the items 2..6 (vocabulary of 7); the last one ends early.
LISTS = np.array([[2, 3], [2, 4], [2, 3], [3, -1]], np.int32)


def counted() -> TopListCounter:
    counter = TopListCounter(7, [2, 1])
    counter.add(LISTS[:3])
    counter.add(LISTS[3:])
    return counter


def test_counts_coverage_and_popularity_by_hand() -> None:
    counter = counted()
    lists = counter.lists()
    assert counter.length == 2
    assert lists is not None
    assert lists.num_lists == 4
    assert lists.counts[1].tolist() == [0, 0, 3, 1, 0, 0, 0]
    assert lists.counts[2].tolist() == [0, 0, 3, 3, 1, 0, 0]
    assert lists.coverage(1, 5) == 2 / 5
    assert lists.coverage(2, 5) == 3 / 5
    # Training events 10, 5, 1 of the items 2, 3, 4: (3 * 10 + 3 * 5 + 1 * 1) / 7 recommendations.
    assert lists.popularity(2, np.array([0, 0, 10, 5, 1, 1, 1])) == pytest.approx(46 / 7)


def test_gini_by_hand_and_at_its_ends() -> None:
    lists = counted().lists()
    assert lists is not None
    # Ascending 0 0 1 3 3 with weights 2i - 6 = -4 -2 0 2 4: (2 * 3 + 4 * 3) / (5 * 7).
    assert lists.gini(2, 5) == pytest.approx(18 / 35)
    # Definition: mean absolute difference of two items over twice the mean.
    counts = np.array([3, 3, 1, 0, 0])
    assert lists.gini(2, 5) == pytest.approx(np.abs(counts[:, None] - counts).mean() / (2 * counts.mean()))
    even = TopListCounter(6, [1])
    even.add(np.array([[2], [3], [4], [5]], np.int32))
    assert even.lists().gini(1, 4) == 0.0
    greedy = TopListCounter(6, [1])
    greedy.add(np.full((9, 1), 3, np.int32))
    assert greedy.lists().gini(1, 4) == 3 / 4  # (N - 1) / N: one of four items takes all


def test_overlap_is_the_mean_over_all_pairs_of_lists() -> None:
    lists = counted().lists()
    assert lists is not None
    # Pairs of {2,3} {2,4} {2,3} {3}: 1, 2, 1 | 1, 0 | 1 common items of 2 each: 6 / (6 * 2).
    assert lists.overlap(2) == pytest.approx(6 / 12)
    assert lists.overlap(1) == pytest.approx(3 / 6)  # three of six pairs agree on item 2
    same = TopListCounter(9, [3])
    same.add(np.tile(np.array([[4, 5, 6]], np.int32), (8, 1)))
    assert same.lists().overlap(3) == 1.0
    single = TopListCounter(9, [3])
    single.add(np.array([[4, 5, 6]], np.int32))
    assert single.lists().overlap(3) is None


def test_lists_end_at_a_hundred_and_at_the_catalogue() -> None:
    assert list_cutoffs([500, 100, 20, 1], 1_000) == [1, 20, 100]
    assert list_cutoffs([20, 5], 10) == [5]
    assert TopListCounter(5, []).lists() is None
