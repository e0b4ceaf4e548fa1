"""Negatives drawn by support^alpha."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.errors import DataError
from tfrec.sampling.alias_table import alias_table
from tfrec.sampling.popularity_sampler import PopularitySampler

COUNTS = np.array([0, 0, 1, 4, 9])


def implied_shares(keep: np.ndarray, alias: np.ndarray) -> np.ndarray:
    """Exact distribution that drawing from an alias table has."""
    shares = keep.copy()
    np.add.at(shares, alias, 1.0 - keep)
    return shares / len(keep)


def test_alias_table_by_hand() -> None:
    """Weights 1, 2, 3: masses 1/2, 1, 3/2. The first keeps half of its draws and gives the rest to the last."""
    keep, alias = alias_table(np.array([1.0, 2.0, 3.0]))
    assert keep.tolist() == [0.5, 1.0, 1.0]
    assert alias.tolist() == [2, 1, 2]
    np.testing.assert_allclose(implied_shares(keep, alias), [1 / 6, 2 / 6, 3 / 6])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=60))
def test_alias_tables_hold_the_distribution_exactly(weights: list[float]) -> None:
    keep, alias = alias_table(np.array(weights))
    assert ((keep >= 0) & (keep <= 1)).all()
    np.testing.assert_allclose(implied_shares(keep, alias), np.array(weights) / sum(weights), atol=1e-9)


def test_alias_table_of_a_million_zipf_items() -> None:
    weights = np.random.default_rng(0).permutation(np.arange(1, 1_000_001) ** -1.0)
    np.testing.assert_allclose(implied_shares(*alias_table(weights)), weights / weights.sum(), atol=1e-12)


@pytest.mark.parametrize(("alpha", "shares"), [(0.0, [1, 1, 1]), (0.5, [1, 2, 3]), (1.0, [1, 4, 9])])
def test_drawn_shares(alpha: float, shares: list[int]) -> None:
    drawn = PopularitySampler(COUNTS, alpha).sample((300, 200), tf.constant([1, 2])).numpy()
    assert drawn.shape == (300, 200)
    found = np.bincount(drawn.ravel(), minlength=5) / drawn.size
    assert found[:2].tolist() == [0.0, 0.0]
    # 60,000 draws: the standard deviation of a share is at most 0.002.
    np.testing.assert_allclose(found[2:], np.array(shares) / sum(shares), atol=0.01)


def test_items_without_events_are_never_drawn() -> None:
    sampler = PopularitySampler(np.array([0, 0, 5, 0, 3, 0]), 0.0)
    assert set(sampler.sample((5000,), tf.constant([0, 0])).numpy().tolist()) == {2, 4}


def test_same_seed_same_ids() -> None:
    sampler = PopularitySampler(COUNTS, 0.5)
    first = sampler.sample((100,), tf.constant([3, 4])).numpy()
    np.testing.assert_array_equal(first, sampler.sample((100,), tf.constant([3, 4])))
    assert not np.array_equal(first, sampler.sample((100,), tf.constant([3, 5])))


def test_log_weight_is_alpha_times_log_count() -> None:
    weights = PopularitySampler(COUNTS, 0.5).log_weight(tf.constant([3, 4]))
    np.testing.assert_allclose(weights, [np.log(2.0), np.log(3.0)], rtol=1e-6)


def test_no_counts_no_sampler() -> None:
    with pytest.raises(DataError, match="positive count"):
        PopularitySampler(np.zeros(4), 0.5)
