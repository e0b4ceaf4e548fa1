from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec.errors import ConfigError
from tfrec.evaluation.ranking_metrics import chance_metrics, gains, metric_gains, metric_names, ranking_metrics
from tfrec.evaluation.tie_rules import ranks_from_counts


def test_metrics_of_hand_computed_ranks() -> None:
    # Ranks 1, 3, infinite, 2.5: at cut-off 3 there are three hits out of four.
    metrics = ranking_metrics(np.array([1.0, 3.0, np.inf, 2.5]), cutoffs=[1, 3])
    assert metrics["recall@1"] == metrics["hit@1"] == metrics["mrr@1"] == metrics["ndcg@1"] == 0.25
    assert metrics["recall@3"] == metrics["hit@3"] == 0.75
    assert metrics["mrr@3"] == pytest.approx((1 + 1 / 3 + 1 / 2.5) / 4, abs=1e-15)
    assert metrics["ndcg@3"] == pytest.approx((1 + 1 / 2 + 1 / math.log2(3.5)) / 4, abs=1e-15)


def test_metrics_without_a_cutoff() -> None:
    ranks = np.array([1.0, 4.0, np.inf, 2.5])
    metrics = ranking_metrics(ranks, cutoffs=[1], miss_rank=11.0)
    assert metrics["mrr"] == pytest.approx((1 + 1 / 4 + 0 + 1 / 2.5) / 4, abs=1e-15)
    assert metrics["avg_rank"] == pytest.approx((1 + 4 + 11 + 2.5) / 4, abs=1e-15)
    assert metric_gains("avg_rank", ranks)[2] == np.inf  # a miss has no rank unless it is given one


def test_no_target_gives_zero() -> None:
    assert ranking_metrics(np.zeros(0), cutoffs=[5]) == dict.fromkeys(metric_names([5]), 0.0)


def test_chance_of_hand_computed_sizes() -> None:
    # N = 4, k = 2: recall 2/4; mrr (1 + 1/2)/4; ndcg (1 + 1/log2(3))/4.
    chance = chance_metrics(4, cutoffs=[2])
    assert chance["recall@2"] == chance["hit@2"] == 0.5
    assert chance["mrr@2"] == pytest.approx(1.5 / 4, abs=1e-15)
    assert chance["ndcg@2"] == pytest.approx((1 + 1 / math.log2(3)) / 4, abs=1e-15)
    # Without a cut-off: (1 + 1/2 + 1/3 + 1/4)/4 and (1 + 2 + 3 + 4)/4.
    assert chance["mrr"] == pytest.approx(25 / 48, abs=1e-15)
    assert chance["avg_rank"] == 2.5


def test_chance_of_a_hundred_candidates_is_the_row_of_the_specification() -> None:
    chance = chance_metrics(100, cutoffs=[5, 10, 20])
    expected = {
        "hit@5": 0.05,
        "hit@10": 0.1,
        "hit@20": 0.2,
        "ndcg@5": 0.0295,
        "ndcg@10": 0.0454,
        "ndcg@20": 0.0704,
        "mrr": 0.0519,
        "avg_rank": 50.5,
    }
    assert {name: round(chance[name], 4) for name in expected} == expected


def test_chance_with_a_size_per_target() -> None:
    # Sizes 4, 1, 0: at cut-off 2 the recalls are 1/2, 1 (a single candidate is always first) and 0.
    chance = chance_metrics(np.array([4, 1, 0]), cutoffs=[2])
    assert chance["recall@2"] == pytest.approx((0.5 + 1 + 0) / 3, abs=1e-15)
    assert chance["mrr@2"] == pytest.approx((1.5 / 4 + 1 + 0) / 3, abs=1e-15)
    assert chance["mrr"] == pytest.approx((25 / 48 + 1 + 0) / 3, abs=1e-15)
    assert chance["avg_rank"] == np.inf
    assert chance_metrics(np.array([4, 1, 0]), [2], miss_rank=5)["avg_rank"] == pytest.approx((2.5 + 1 + 5) / 3)


def test_chance_equals_the_average_over_all_ranks() -> None:
    ranks = np.arange(1.0, 51.0)
    assert chance_metrics(50) == pytest.approx(ranking_metrics(ranks), abs=1e-12)


def test_unknown_metric_and_tie_rule() -> None:
    with pytest.raises(ConfigError, match="precision"):
        gains("precision", np.ones(1), 5)
    for metric in ("recall", "recall@0", "recall@x", "mean_rank"):
        with pytest.raises(ConfigError, match=metric):
            metric_gains(metric, np.ones(1))
    with pytest.raises(ConfigError, match="median"):
        ranks_from_counts(np.ones(1, int), np.ones(1, int), "mean")  # type: ignore[arg-type]
