"""Negatives drawn by support^alpha."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import DataError
from tfrec.sampling.popularity_sampler import PopularitySampler

COUNTS = np.array([0, 0, 1, 4, 9])


def test_cumulative_shares_by_hand() -> None:
    """alpha .5: weights 1, 2, 3 of sum 6."""
    np.testing.assert_allclose(PopularitySampler(COUNTS, 0.5).cumulative, [0, 0, 1 / 6, 1 / 2, 1])


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
