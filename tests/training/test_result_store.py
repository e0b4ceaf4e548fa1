from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.evaluation.scorers import FactorScorer
from tests.sequence_batches import make_batch
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.training.result_store import ResultStore


def test_a_result_comes_back_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    batch = make_batch([[2, 3, 4], [5, 1], [6, 7]], [2, 1, 1])
    scorer = FactorScorer(rng.normal(size=(4, 3)), rng.normal(size=(30, 3)), None)
    result = evaluate_ranking(scorer, [batch], cutoffs=[1, 5], details=True)
    store = ResultStore(tmp_path / "partial", {"data": 1}, resume=False)
    assert store.get("full-model") is None
    store.put("full-model", result)
    again = ResultStore(tmp_path / "partial", {"data": 1}, resume=True).get("full-model")
    assert again == result  # metrics and counts
    assert again.similarity == result.similarity is not None
    assert again.scores == result.scores is not None
    assert again.targets.same_targets(result.targets)
    assert again.ranks.tolist() == result.ranks.tolist()
    assert {key: counts.tolist() for key, counts in again.lists.counts.items()} == {
        key: counts.tolist() for key, counts in result.lists.counts.items()
    }
    assert again.lists.num_lists == result.lists.num_lists
    assert ResultStore(tmp_path / "partial", {"data": 2}, resume=True).get("full-model") is None
    ResultStore(tmp_path / "partial", {"data": 1}, resume=False)
    assert not (tmp_path / "partial").exists()


def test_a_bare_result_comes_back_bare(tmp_path: Path) -> None:
    scorer = FactorScorer(np.ones((1, 3)), np.ones((9, 3)), None)
    result = evaluate_ranking(scorer, [make_batch([[2, 3]], [1])])
    store = ResultStore(tmp_path / "partial", {}, resume=False)
    store.put("m", result)
    again = store.get("m")
    assert again == result
    assert (again.targets, again.lists, again.similarity, again.scores) == (None,) * 4
