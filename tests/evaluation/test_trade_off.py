"""The best candidates of a model, ordered anew and measured, and their section of the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.evaluation.scorers import FactorScorer, FixedScorer
from tests.oracles import ranking as oracle
from tests.sequence_batches import make_batch
from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.config.rerank_config import RerankConfig
from tfrec.errors import TfrecError
from tfrec.evaluation.candidate_lists import candidate_lists
from tfrec.evaluation.item_likeness import ItemLikeness
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.report.reranking_section import reranking_section
from tfrec.evaluation.report.run_documents import RunDocuments
from tfrec.evaluation.trade_off import trade_off

VOCAB, LENGTH = 90, 5
RANDOM = np.random.default_rng(4)
ITEMS = [RANDOM.integers(2, VOCAB, RANDOM.integers(2, 9)).tolist() for _ in range(40)]
NUM_TARGETS = [int(RANDOM.integers(0, len(items))) for items in ITEMS]
TARGETS = oracle.targets_of(ITEMS, NUM_TARGETS)
SCORES = RANDOM.normal(size=(len(TARGETS), VOCAB)).astype(np.float32)
COUNTS = np.concatenate([[0, 0], RANDOM.integers(0, 50, VOCAB - 2)])
CATEGORIES = np.concatenate([np.zeros((2, 4)), np.eye(4)[RANDOM.integers(0, 4, VOCAB - 2)]])
LIKENESS = ItemLikeness(CATEGORIES.astype(np.float32), "values of `genre`", CATEGORIES, "genre")


def batches() -> list[dict[str, Any]]:
    return [make_batch(ITEMS[start : start + 7], NUM_TARGETS[start : start + 7]) for start in range(0, 40, 7)]


@pytest.mark.parametrize("exclude", [False, True])
def test_candidates_against_sorting(exclude: bool) -> None:
    """Every list: the best of what may compete, with its scores; the history as it was before the target."""
    lists = list(candidate_lists(FixedScorer(SCORES), batches(), 12, exclude_history=exclude))
    items, scores = np.concatenate([one.items for one in lists]), np.concatenate([one.scores for one in lists])
    histories = [row[row > 0].tolist() for one in lists for row in one.history]
    assert np.concatenate([one.target for one in lists]).tolist() == [target for _, target in TARGETS]
    for row, (history, target) in enumerate(TARGETS):
        columns = oracle.candidate_columns(VOCAB, history, target, exclude)
        best = sorted(columns, key=lambda column: -SCORES[row, column])[:12]
        assert items[row].tolist() == best
        np.testing.assert_array_equal(scores[row], SCORES[row, best])
        assert histories[row] == list(history)


def test_factors_ties_and_what_is_no_candidate() -> None:
    """Items 2..5 score 1, 2, 2, minus infinity; padding and out of vocabulary score 9."""
    table = np.array([[9], [9], [1], [2], [2], [0]])
    scorer = FactorScorer(np.ones((1, 1)), table, np.array([0, 0, 0, 0, 0, -np.inf]))
    (lists,) = candidate_lists(scorer, [make_batch([[2, 3]])], 4)
    assert lists.items.tolist() == [[3, 4, 2, -1]]
    assert lists.scores.tolist() == [[2, 2, 1, 0]]
    broken = FixedScorer(np.array([[0, 0, np.nan, 1.0]]))
    with pytest.raises(TfrecError, match="not a number"):
        list(candidate_lists(broken, [make_batch([[2, 3]])], 2))


@pytest.fixture(scope="module")
def section() -> dict[str, Any]:
    settings = RerankConfig(
        methods=["mmr", "novelty", "calibration"], candidates=20, length=LENGTH, strengths=[0.3, 1.0]
    )
    found = trade_off(
        FixedScorer(SCORES),
        batches(),
        LIKENESS,
        settings,
        BootstrapConfig(samples=50),
        item_counts=COUNTS,
        num_targets=len(TARGETS),
    )
    return {"model": "fixed", "split": "test", **found}


def test_lists_as_they_were_agree_with_full_ranking(section: dict[str, Any]) -> None:
    full = evaluate_ranking(FixedScorer(SCORES), batches(), cutoffs=[LENGTH], details=True)
    first = section["points"][0]
    assert (first["method"], first["strength"], section["lists"]) == (None, 0.0, len(TARGETS))
    for metric in ("hit", "ndcg", "mrr"):
        assert first[f"{metric}@{LENGTH}"] == pytest.approx(full.metrics[f"{metric}@{LENGTH}"])
    assert full.lists is not None
    assert first[f"coverage@{LENGTH}"] == full.lists.coverage(LENGTH, VOCAB - 2)
    assert first["difference"] == {}


def test_each_method_reaches_its_goal_and_pays_for_it(section: dict[str, Any]) -> None:
    points = {(point["method"], point["strength"]): point for point in section["points"]}
    assert len(points) == 7
    first = points[None, 0.0]
    # Four categories and lists of five, one pair alike at best: 9 of 10 pairs differ. A few lists have three of them.
    assert 0.88 < points["mmr", 1.0][f"diversity@{LENGTH}"] <= 0.9
    assert first[f"diversity@{LENGTH}"] < points["mmr", 0.3][f"diversity@{LENGTH}"] <= 0.9
    for method, goal, sign in (("mmr", "diversity", 1), ("novelty", "novelty", 1), ("calibration", "divergence", -1)):
        name = f"{goal}@{LENGTH}"
        assert section["goals"][method] == name
        values = [first[name], points[method, 0.3][name], points[method, 1.0][name]]
        assert sorted(values, key=lambda value: sign * value) == values
        assert values[0] != values[2]
    for key, point in points.items():
        for metric, change in point["difference"].items():
            assert change["value"] == pytest.approx(point[metric] - first[metric])
            assert change["low"] <= change["value"] <= change["high"]
        assert bool(point["difference"]) == (key[0] is not None)


def test_novelty_of_the_lists_against_a_loop(section: dict[str, Any]) -> None:
    """Full strength: the rarest five of the best twenty, of equal ones those with the higher score."""
    bits = np.log2((COUNTS[2:] + 1).sum() / (COUNTS + 1))
    means = []
    for row in SCORES:
        best = sorted(range(2, VOCAB), key=lambda item: -row[item])[:20]
        means.append(np.mean(sorted(bits[best])[::-1][:LENGTH]))
    point = next(p for p in section["points"] if (p["method"], p["strength"]) == ("novelty", 1.0))
    assert point[f"novelty@{LENGTH}"] == pytest.approx(np.mean(means))


def test_a_draw_of_targets_and_no_knowledge_of_items() -> None:
    settings = RerankConfig(methods=["novelty"], candidates=20, length=LENGTH, strengths=[0.5], max_lists=11)
    found = trade_off(
        FixedScorer(SCORES),
        batches(),
        ItemLikeness(None, "", None, ""),
        settings,
        BootstrapConfig(samples=0),
        item_counts=COUNTS,
        num_targets=len(TARGETS),
    )
    assert found["lists"] == 11
    assert f"diversity@{LENGTH}" not in found["points"][0]
    assert found["points"][1]["difference"] == {}


def test_a_section_of_the_report(section: dict[str, Any]) -> None:
    def run(evaluation: dict[str, Any]) -> RunDocuments:
        return RunDocuments("r", "fixed", evaluation, {}, {}, "", {}, {})

    assert reranking_section(run({})) is None
    made = reranking_section(run({"reranking": section}))
    assert made is not None
    text, charts, table = made.blocks
    assert "20 best candidates of `fixed`" in text.text
    assert [chart.title.split()[0] for chart in charts.charts] == ["Diversity", "Novelty", "Calibration"]
    assert all("<svg" in chart.svg for chart in charts.charts)
    assert [row.name for row in table.rows][:3] == ["as it was", "mmr 0.3", "mmr 1"]
    assert len(table.columns) == 7
    assert table.rows[0].cells[0].text == f"{section['points'][0][f'ndcg@{LENGTH}']:.4f}"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"strengths": [0.0, 0.5]}, "above 0"),
        ({"strengths": [0.5, 0.5]}, "each once"),
        ({"candidates": 5, "length": 6}, "lists of 6"),
        ({"methods": ["mmr", "mmr"]}, "given twice"),
        ({"methods": ["xquad"]}, "mmr"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RerankConfig(**settings)
