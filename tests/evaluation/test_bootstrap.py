from __future__ import annotations

import numpy as np
import pytest

from tfrec.errors import ConfigError
from tfrec.evaluation import bootstrap
from tfrec.evaluation.bootstrap import bootstrap_metric, paired_bootstrap, percentile_interval, resampled_means

RANKS = np.where(np.arange(1_000) < 400, 1.0, np.inf)  # recall@5 = 0.4


def test_interval_is_the_normal_approximation_of_a_proportion() -> None:
    interval = bootstrap_metric(RANKS, "recall@5", samples=4_000)
    # Standard error sqrt(.4 * .6 / 1000) = .01549; 1.96 of them = .03036. The ends are noisy: a fifth of that allowed.
    assert interval.value == pytest.approx(0.4)
    assert interval.low == pytest.approx(0.4 - 0.03036, abs=0.006)
    assert interval.high == pytest.approx(0.4 + 0.03036, abs=0.006)


def test_pairing_makes_the_interval_of_a_difference_narrow() -> None:
    # The second model misses 20 of the 400 hits of the first: the difference is .02 with standard error
    # sqrt((.02 - .02^2) / 1000) = .00443, far less than unpaired (about .0219).
    other = RANKS.copy()
    other[:20] = np.inf
    interval = paired_bootstrap(RANKS, other, "recall@5", samples=4_000)
    assert interval.value == pytest.approx(0.02)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.00443, rel=0.15)
    assert interval.excludes_zero
    same = paired_bootstrap(RANKS, RANKS, "mrr@5")
    assert (same.value, same.low, same.high, same.excludes_zero) == (0.0, 0.0, 0.0, False)


def test_groups_are_drawn_whole() -> None:
    # 100 sessions of 10 targets that all hit or all miss: the error is that of 100 draws, sqrt(10) times larger.
    groups = np.arange(1_000) // 10
    single = bootstrap_metric(RANKS, "recall@5", samples=4_000)
    grouped = bootstrap_metric(RANKS, "recall@5", groups=groups, samples=4_000)
    assert grouped.value == single.value
    assert (grouped.high - grouped.low) / (single.high - single.low) == pytest.approx(np.sqrt(10), rel=0.12)


def test_seed_fixes_the_interval_and_blocks_do_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bootstrap_metric(RANKS, "ndcg@5", samples=50, seed=3)
    assert bootstrap_metric(RANKS, "ndcg@5", samples=50, seed=3) == first
    assert bootstrap_metric(RANKS, "ndcg@5", samples=50, seed=4) != first
    monkeypatch.setattr(bootstrap, "_BLOCK_DRAWS", 7_000)
    assert bootstrap_metric(RANKS, "ndcg@5", samples=50, seed=3) == first


def test_targets_outside_a_slice_take_no_part() -> None:
    # Groups 0, 1, 2 with gains 1, 0 and (outside) nothing: every resample averages what it drew of the first two.
    gains = {"all": np.array([1.0, 0.0, 0.5]), "slice": np.array([1.0, 0.0, np.nan])}
    means = resampled_means(gains, np.array([0, 1, 2]), samples=400, seed=0)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 3, (400, 3))
    np.testing.assert_allclose(means["all"], np.array([1.0, 0.0, 0.5])[drawn].mean(axis=1))
    inside = (drawn < 2).sum(axis=1)
    expected = np.divide((drawn == 0).sum(axis=1), inside, out=np.full(400, np.nan), where=inside > 0)
    np.testing.assert_allclose(means["slice"], expected)
    assert np.isnan(means["slice"]).any()  # (1/3)^3: some resamples draw nothing of the slice
    interval = percentile_interval("slice", 0.5, means["slice"], 0.95)
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_p_value_and_share_by_hand() -> None:
    estimates = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    interval = percentile_interval("recall@5", 3.5, estimates, 0.8)
    assert interval.share_positive == pytest.approx(0.8 + 0.1 / 2)
    assert interval.p_value == pytest.approx(2 * (0.1 + 0.1))  # below zero or at it, twice
    assert percentile_interval("recall@5", 3.5, estimates + 2, 0.8).p_value == pytest.approx(1 / 10)
    assert interval.comparison()["share_better"] == pytest.approx(0.85)
    assert interval.comparison(lower_is_better=True)["share_better"] == pytest.approx(0.15)
    nothing = percentile_interval("recall@5", 0.25, np.array([np.nan]), 0.8)
    assert (nothing.low, nothing.high) == (0.25, 0.25)


def test_rejects_bad_arguments() -> None:
    with pytest.raises(ConfigError, match=r"1,000 and 999"):
        paired_bootstrap(RANKS, RANKS[1:], "recall@5")
    for metric in ("recall", "recall@0", "recall@x", "accuracy@5", "accuracy"):
        with pytest.raises(ConfigError, match=metric.partition("@")[0]):
            bootstrap_metric(RANKS, metric)
    for arguments in ({"samples": 0}, {"confidence": 1.0}):
        with pytest.raises(ConfigError, match="resample"):
            bootstrap_metric(RANKS, "recall@5", **arguments)
    with pytest.raises(ConfigError, match="groups"):
        bootstrap_metric(RANKS, "recall@5", groups=np.zeros(3))
