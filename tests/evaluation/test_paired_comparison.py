from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.evaluation.ranked import make_result, make_targets
from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.paired_comparison import compare_results

SETTINGS = BootstrapConfig(samples=500)
RANKS = np.where(np.arange(1_000) < 400, 1.0, 50.0)


def rows(first: np.ndarray, second: np.ndarray) -> dict[str, dict[str, float]]:
    results = [make_result(make_targets(ranks.tolist())) for ranks in (first, second)]
    return {row["metric"]: row for row in compare_results(*results, SETTINGS)["rows"]}


def test_a_clear_difference_is_one() -> None:
    # The second run misses 40 of the 400 hits of the first: difference .04, standard error sqrt(.04 * .96 / 1000).
    worse = RANKS.copy()
    worse[:40] = 50.0
    found = rows(RANKS, worse)
    recall = found["recall@5"]
    assert (recall["a"], recall["b"], recall["chance"]) == (0.4, 0.36, 0.05)
    assert recall["difference"] == pytest.approx(0.04)
    error = np.sqrt(0.04 * 0.96 / 1_000)
    assert recall["low"] == pytest.approx(0.04 - 1.96 * error, abs=0.3 * error)
    assert recall["high"] == pytest.approx(0.04 + 1.96 * error, abs=0.3 * error)
    assert recall["p_value"] == 1 / 500  # no resample on the other side: as small as 500 of them can tell
    assert recall["share_better"] == 1.0
    assert found["avg_rank"]["difference"] == pytest.approx(-0.04 * 49)
    assert found["avg_rank"]["share_better"] == 1.0  # a lower rank is better


def test_luck_is_called_luck() -> None:
    first = np.random.default_rng(1).integers(1, 30, 300).astype(float)
    found = rows(first, np.roll(first, 1))["mrr"]  # each better at times, the same on the whole
    assert found["difference"] == pytest.approx(0.0, abs=1e-12)
    assert found["low"] < 0 < found["high"]
    assert found["p_value"] > 0.5
    same = rows(first, first)["ndcg@10"]
    assert (same["difference"], same["low"], same["high"], same["p_value"], same["share_better"]) == (0, 0, 0, 1.0, 0.5)


def test_what_cannot_be_compared_is_refused() -> None:
    first = make_result(make_targets([1.0, 2.0]))
    for field, value in (("protocol", "sampled"), ("tie_rule", "median"), ("num_candidates", 7)):
        with pytest.raises(ConfigError, match=f"{field}.*cannot be compared"):
            compare_results(first, dataclasses.replace(first, **{field: value}), SETTINGS)
    with pytest.raises(ConfigError, match="different targets"):
        compare_results(first, make_result(make_targets([1.0, 2.0], item=[2, 3])), SETTINGS)
    with pytest.raises(ConfigError, match="no targets"):
        compare_results(first, dataclasses.replace(first, targets=None), SETTINGS)
