from __future__ import annotations

import numpy as np
import pytest

from tfrec.errors import ConfigError
from tfrec.evaluation import bootstrap
from tfrec.evaluation.bootstrap import bootstrap_metric, paired_bootstrap

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


def test_rejects_bad_arguments() -> None:
    with pytest.raises(ConfigError, match=r"1,000 and 999"):
        paired_bootstrap(RANKS, RANKS[1:], "recall@5")
    for metric in ("recall", "recall@0", "recall@x", "accuracy@5"):
        with pytest.raises(ConfigError, match=metric.partition("@")[0]):
            bootstrap_metric(RANKS, metric)
    for arguments in ({"samples": 0}, {"confidence": 1.0}):
        with pytest.raises(ConfigError, match="resample"):
            bootstrap_metric(RANKS, "recall@5", **arguments)
    with pytest.raises(ConfigError, match="groups"):
        bootstrap_metric(RANKS, "recall@5", groups=np.zeros(3))
