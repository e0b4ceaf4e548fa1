"""Negatives outside a user's history."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.sampling.exclusive_draw import ROUNDS, exclusive_draw
from tfrec.sampling.popularity_sampler import PopularitySampler
from tfrec.sampling.uniform_sampler import UniformSampler
from tfrec.sampling.user_history import UserHistory

HISTORY = np.array([[3, 9, 5, 3, 0], [2, 7, 4, 8, 6], [1, 1, 12, 0, 0], [0, 0, 0, 0, 0]], np.int32)


def test_history_by_hand() -> None:
    history = UserHistory(tf.constant(HISTORY))
    found = [sorted(set(row) - {0}) for row in history.items.numpy().tolist()]
    assert found == [[3, 5, 9], [2, 4, 6, 7, 8], [12], []]
    inside = history.contains(tf.constant([[3, 4, 13], [4, 9, 8]]), tf.constant([0, 1]))
    assert inside.numpy().tolist() == [[True, False, False], [True, False, True]]
    columns = history.columns(tf.constant([9, 4, 20, 3]))
    assert [sorted(set(row) - {4}) for row in columns.numpy().tolist()] == [[0, 3], [1], [], []]
    # uniform over 10 items: a tenth for each distinct one
    share = history.share(lambda ids: UniformSampler(12).log_probability(ids, ids))
    np.testing.assert_allclose(share, [0.3, 0.5, 0.1, 0.0], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 30), min_size=6, max_size=6), min_size=1, max_size=5),
    st.lists(st.integers(2, 30), min_size=1, max_size=20, unique=True),
)
def test_history_is_a_set(history: list[list[int]], candidates: list[int]) -> None:
    seen = UserHistory(tf.constant(history))
    rows = tf.range(len(history))
    inside = seen.contains(tf.constant([candidates] * len(history)), rows).numpy()
    columns = seen.columns(tf.constant(candidates)).numpy()
    for row, items in enumerate(history):
        expected = {column for column, item in enumerate(candidates) if item in items}
        assert set(np.flatnonzero(inside[row])) == expected
        assert set(columns[row]) - {len(candidates)} == expected


@pytest.mark.parametrize("with_history", [True, False])
def test_no_valid_negative_is_excluded_and_counts_are_as_expected(with_history: bool) -> None:
    """20,000 copies of three targets. Half of the popularity is in the second history, so that rounds matter."""
    counts = np.array([0, 0, 40, 30, 20, 9, 8, 7, 6, 5, 4, 3, 2, 1])
    copies, negatives = 20_000, 2
    targets, sequences = np.repeat([9, 2, 13], copies).astype(np.int32), np.repeat([0, 1, 2], copies).astype(np.int32)
    sampler = PopularitySampler(counts, 1.0)
    drawn, log_counts, valid = (
        tensor.numpy().reshape(3, -1)
        for tensor in exclusive_draw(
            sampler,
            negatives,
            tf.constant([1, 2]),
            tf.constant(targets),
            UserHistory(tf.constant(HISTORY)) if with_history else None,
            tf.constant(sequences),
        )
    )
    for row, target in enumerate((9, 2, 13)):
        banned = {target, *(HISTORY[row] if with_history else [])}
        kept = drawn[row][valid[row]]
        assert not banned & set(kept)
        share = sum(counts[item] for item in banned) / counts.sum()
        expected_valid = negatives * (1.0 - share**ROUNDS)
        assert len(kept) / copies == pytest.approx(expected_valid, abs=0.02)
        for item in set(range(2, 14)) - banned:
            expected = np.exp(log_counts[row][drawn[row] == item][0])
            # the formula of the docstring: places that end up valid, times the share of the item among valid draws
            assert expected == pytest.approx(expected_valid * counts[item] / counts.sum() / (1.0 - share), rel=1e-4)
            found = np.count_nonzero(kept == item) / copies
            assert abs(found - expected) < 5.0 * np.sqrt(expected / copies)


def test_shapes_and_seeds() -> None:
    def draw(seed: int) -> np.ndarray:
        targets = tf.constant([2, 3])
        ids, log_counts, valid = exclusive_draw(
            UniformSampler(50), 7, tf.constant([seed, 0]), targets, None, tf.constant([0, 0])
        )
        assert ids.shape == log_counts.shape == valid.shape == (2, 7)
        return ids.numpy()

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))
