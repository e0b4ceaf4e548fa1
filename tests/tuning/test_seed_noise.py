"""Gain against the luck of seeds, by hand arithmetic."""

from __future__ import annotations

import pytest

from tfrec.tuning.confirmation import verdict_text
from tfrec.tuning.objective import Objective
from tfrec.tuning.seed_noise import compare_seeds

NDCG, RANK = Objective.parse("ndcg@10"), Objective.parse("avg_rank")


def test_a_clear_gain() -> None:
    # Deviations .01, standard error sqrt(2 * .0001 / 3) = .0081650, 4 degrees of freedom: t(.975) = 2.776445.
    found = compare_seeds([0.30, 0.31, 0.32], [0.20, 0.21, 0.22], NDCG)
    assert found["gain"] == pytest.approx(0.1)
    assert (found["low"], found["high"]) == pytest.approx((0.1 - 0.0226696, 0.1 + 0.0226696), abs=1e-6)
    assert found["winner"]["mean"] == pytest.approx(0.31)
    assert found["winner"]["deviation"] == pytest.approx(0.01)
    assert found["verdict"] == "gain"


def test_a_gain_within_the_noise() -> None:
    # The same deviations, a gain of .02 < .02267.
    assert compare_seeds([0.30, 0.31, 0.32], [0.28, 0.29, 0.30], NDCG)["verdict"] == "noise"
    assert compare_seeds([0.30, 0.31, 0.32], [0.40, 0.41, 0.42], NDCG)["verdict"] == "loss"


def test_lower_ranks_are_a_gain() -> None:
    found = compare_seeds([10.0, 10.1, 10.2], [20.0, 20.1, 20.2], RANK)
    assert (found["verdict"], found["gain"]) == ("gain", pytest.approx(10.0))


def test_unequal_deviations() -> None:
    # Variances 1e-4 / 2 and 0: freedom (5e-5)^2 / (5e-5)^2 = 1, t(.975) = 12.7062, error .00707107.
    found = compare_seeds([0.30, 0.30 + 0.0141421356], [0.2, 0.2], NDCG)
    assert found["high"] - found["gain"] == pytest.approx(12.7062 * 0.0070710678, rel=1e-4)


def test_one_seed_says_nothing_of_noise() -> None:
    found = compare_seeds([0.3], [0.2], NDCG)
    assert (found["verdict"], found["low"], found["winner"]["deviation"]) == ("unknown", None, None)


def test_equal_scores_of_all_seeds_say_nothing_of_noise() -> None:
    found = compare_seeds([0.3, 0.3], [0.2999, 0.2999], NDCG)
    assert (found["verdict"], found["low"], found["high"]) == ("unknown", None, None)
    assert found["gain"] == pytest.approx(0.0001)
    text = verdict_text({**found, "random": True, "seeds": [1, 2]})
    assert text.endswith("+0.0001; the same scores with every seed say nothing of seed noise.")
