from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.evaluation.ranked import make_result, make_targets
from tests.evaluation.scorers import FactorScorer
from tests.sequence_batches import make_batch
from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.alarms import find_alarms
from tfrec.evaluation.bootstrap import bootstrap_metric, paired_bootstrap
from tfrec.evaluation.protocol_section import SectionSettings, protocol_section
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.top_lists import TopLists

ROLES = {"markov": "baseline", "sasrec": "model"}
ITEMS = [2, 3, 4, 5] * 50
COUNTS = np.array([0, 0, 90, 60, 40, 2])
SETTINGS = SectionSettings([5, 10], BootstrapConfig(samples=400), COUNTS, cold_events=5)


def results(seed: int = 0) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    ranks = rng.integers(1, 30, 200).astype(float)
    worse = ranks + rng.integers(0, 4, 200)
    owner = (np.arange(200) // 2).tolist()
    return {
        name: make_result(make_targets(values.tolist(), item=ITEMS, position=[1, 2, 3, 4] * 50, owner=owner))
        for name, values in (("markov", worse), ("sasrec", ranks))
    }


def test_intervals_and_differences_are_those_of_the_bootstrap_over_users() -> None:
    found = results()
    section = protocol_section("full", found, ROLES, SETTINGS)
    own, other = section["models"]["sasrec"], section["models"]["markov"]
    ranks, worse, owner = found["sasrec"].ranks, found["markov"].ranks, found["sasrec"].targets.owner
    for metric in ("recall@5", "ndcg@10", "mrr", "avg_rank"):
        alone = bootstrap_metric(ranks, metric, groups=owner, samples=400)
        assert own["intervals"][metric] == pytest.approx({"low": alone.low, "high": alone.high})
        paired = paired_bootstrap(ranks, worse, metric, groups=owner, samples=400)
        difference = other["difference"][metric]
        assert difference["value"] == pytest.approx(paired.value)
        assert (difference["low"], difference["high"]) == pytest.approx((paired.low, paired.high))
        assert difference["p_value"] == pytest.approx(paired.p_value)
    assert own["difference"] == {}
    assert own["intervals"]["hit@5"] == own["intervals"]["recall@5"]
    # The model's ranks are never worse: lower average rank, higher mrr, and better in (nearly) all resamples.
    assert other["difference"]["avg_rank"]["value"] < 0 < other["difference"]["mrr"]["value"]
    assert other["difference"]["avg_rank"]["share_better"] > 0.99
    assert other["difference"]["mrr"]["share_better"] > 0.99


def test_slices_hold_the_metrics_of_their_targets() -> None:
    found = results()
    section = protocol_section("full", found, ROLES, SETTINGS)
    by_name = {slicing["name"]: slicing["rows"] for slicing in section["models"]["sasrec"]["slices"]}
    cold = next(row for row in by_name["item age in training"] if row["name"] == "cold")
    ranks = found["sasrec"].ranks[3::4]  # item 5, the one with two training events
    assert cold["n"] == 50
    assert cold["share"] == 0.25
    assert cold["metrics"]["recall@10"] == pytest.approx((ranks <= 10).mean())
    assert cold["metrics"]["avg_rank"] == pytest.approx(ranks.mean())
    assert (
        cold["intervals"]["recall@10"]["low"] <= cold["metrics"]["recall@10"] <= cold["intervals"]["recall@10"]["high"]
    )
    assert cold["chance"]["recall@10"] == pytest.approx(0.1)
    unseen = next(row for row in by_name["item age in training"] if row["name"] == "unseen")
    assert (unseen["n"], unseen["metrics"], unseen["intervals"]) == (0, {}, {})
    for rows in by_name.values():
        assert sum(row["n"] for row in rows) == 200
    assert section["models"]["markov"]["slices"][2]["rows"][1]["intervals"] == {}  # of the run's model alone
    assert section["models"]["markov"]["slices"][2]["rows"][1]["metrics"]["recall@10"] <= cold["metrics"]["recall@10"]


def test_metrics_stand_under_all_tie_rules() -> None:
    # Rank 3 behind two ties: optimistic 1, in the middle 2, pessimistic 3.
    targets = make_targets([3.0, 3.0, np.inf, 3.0], item=[2, 2, 1, 2], ties=2)
    section = protocol_section(
        "full", {"m": make_result(targets, (2,))}, {"m": "model"}, SectionSettings([2], BootstrapConfig(samples=0))
    )
    ties = section["models"]["m"]["ties"]
    assert ties["share_tied"] == 3 / 4
    assert (ties["standard"]["mrr@2"], ties["median"]["mrr@2"], ties["conservative"]["mrr@2"]) == (3 / 4, 3 / 8, 0.0)
    assert ties["conservative"]["avg_rank"] == (3 + 3 + 101 + 3) / 4
    assert section["models"]["m"]["intervals"] == section["models"]["m"]["difference"] == {}
    assert section["models"]["m"]["slices"] == []
    assert section["models"]["m"]["lists"] is None


def test_lists_are_shown_for_full_ranking_only() -> None:
    lists = TopLists(200, {5: np.array([0, 0, 200, 200, 200, 200])})
    found = {"m": make_result(make_targets([1.0] * 8, item=ITEMS[:8]), lists=lists)}
    settings = SectionSettings([5, 10], BootstrapConfig(samples=0), COUNTS)
    assert protocol_section("full", found, {"m": "model"}, settings)["models"]["m"]["lists"]["length"] == 5
    assert protocol_section("subset", found, {"m": "model"}, settings)["models"]["m"]["lists"] is None


def test_protocols_are_described() -> None:
    texts = {}
    for name, label in (
        ("full", "full, history excluded"),
        ("subset", "subset"),
        ("sampled", "sampled, 99 uniform negatives"),
    ):
        found = {"m": make_result(make_targets([1.0]), protocol=label)}
        section = protocol_section(name, found, {"m": "model"}, SectionSettings([5, 10], BootstrapConfig(samples=0)))
        texts[name] = section["description"]
        assert (section["name"], section["label"]) == (name, label)
    assert "all 100 items of the vocabulary; items seen earlier" in texts["full"]
    assert "all 100 items of a given list." in texts["subset"]
    assert "another scale" in texts["sampled"]


def test_results_of_other_targets_are_refused() -> None:
    found = results()
    moved = {**found, "markov": make_result(make_targets([1.0] * 200, item=ITEMS[::-1], position=[1, 2, 3, 4] * 50))}
    with pytest.raises(ConfigError, match="different targets"):
        protocol_section("full", moved, ROLES, SETTINGS)
    bare = {"sasrec": dataclasses.replace(found["sasrec"], targets=None)}
    with pytest.raises(ConfigError, match="has no targets"):
        protocol_section("full", bare, {"sasrec": "model"}, SETTINGS)


def test_a_collapsed_model_raises_the_alarms() -> None:
    """From the model's scores to the alarm: every item has the same vector."""
    rng = np.random.default_rng(0)
    items = [[2, int(target)] for target in rng.integers(3, 300, 60)]
    scorer = FactorScorer(rng.normal(size=(60, 4)), np.ones((300, 4)), None)
    found = {"m": evaluate_ranking(scorer, [make_batch(items, [1] * 60)], tie_rule="standard", details=True)}
    assert found["m"].metrics["recall@1"] == 1.0  # this is what optimistic ties make of it
    settings = SectionSettings([1, 5, 10, 20], BootstrapConfig(samples=50), np.array([0, 0, *range(1, 299)]))
    section = protocol_section("full", found, {"m": "model"}, settings)
    alarms = {alarm["name"] for alarm in find_alarms("m", section["models"]["m"], section)}
    assert alarms == {"constant_scores", "same_list", "tied_scores"}
