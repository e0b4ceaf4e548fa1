"""Searchers: one seed gives one sequence, also when it is continued; the searchers look where it pays."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tfrec.errors import ConfigError
from tfrec.tuning.objective import Objective
from tfrec.tuning.oracle import TrialOracle, hyperband_plan
from tfrec.tuning.read_space import parse_space
from tfrec.tuning.trial_record import TrialRecord

SPACE = parse_space(
    "gru4rec",
    {
        "space": {
            "objective.loss": {"type": "choice", "values": ["cross-entropy", "bpr-max"]},
            "optimizer.learning_rate": {"type": "float", "min": 1e-3, "max": 1.0, "log": True},
            "model.dropout_hidden": {
                "type": "float", "min": 0, "max": 0.5, "step": 0.1, "when": {"objective.loss": "bpr-max"}
            },
        }
    },
    source="x",
)  # fmt: skip
OBJECTIVE = Objective.parse("ndcg@10")
SEARCHERS = ["random", "hyperband", "bayesian"]


def oracle(searcher: str, seed: int = 0, objective: Objective = OBJECTIVE) -> TrialOracle:
    if searcher == "bayesian":
        pytest.importorskip("sklearn")
    return TrialOracle(searcher, SPACE, objective, seed, max_epochs=9, factor=3)


def run(record: TrialRecord) -> TrialRecord:
    """The best rate is .05; the third trial fails; longer trainings are a little better."""
    distance = math.log10(record.values["optimizer.learning_rate"] / 0.05)
    record.status, record.score = "completed", math.exp(-(distance**2)) + 0.001 * (record.epochs or 0)
    if record.number == 2:
        record.status, record.score, record.reason = "failed", None, "NaN"
    return record


def search(oracle: TrialOracle, count: int) -> list[TrialRecord]:
    records = []
    for _ in range(count):
        record = oracle.propose()
        assert record is not None
        oracle.tell(run(record))
        records.append(record)
    return records


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_a_continued_search_makes_the_trials_of_an_uninterrupted_one(searcher: str) -> None:
    count = {"random": 12, "hyperband": 22, "bayesian": 7}[searcher]
    whole = search(oracle(searcher), count)
    assert [record.values for record in search(oracle(searcher), 4)] == [record.values for record in whole[:4]]
    assert whole[0].values != search(oracle(searcher, seed=1), 1)[0].values
    for done in {1, 3, count - 2}:
        continued = oracle(searcher)
        for record in whole[:done]:
            stored = json.loads(json.dumps(record.document()))
            continued.replay(TrialRecord.from_document(stored))
        assert [record.codes for record in search(continued, 2)] == [record.codes for record in whole[done : done + 2]]


def test_seed_zero_is_a_seed() -> None:
    assert search(oracle("random", 0), 3) == search(oracle("random", 0), 3)


def test_another_search_is_not_continued() -> None:
    record = search(oracle("random"), 1)[0]
    with pytest.raises(ConfigError, match="not the one that this search would make"):
        oracle("random", seed=5).replay(record)


def test_settings_that_do_not_matter_are_left_alone() -> None:
    for record in search(oracle("random"), 12):
        assert ("model.dropout_hidden" in record.values) == (record.values["objective.loss"] == "bpr-max")
        assert record.values.get("model.dropout_hidden", 0.0) in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def test_hyperband_continues_the_best_of_a_round() -> None:
    # 9 epochs, factor 3: rounds of 9, 3, 1 trials with 1, 3, 9 epochs; then 5 (=ceil 4.5), 2; then 3 of 9 epochs.
    assert hyperband_plan(9, 3) == [(9, 1), (3, 3), (1, 9), (5, 3), (2, 9), (3, 9)]
    records = search(oracle("hyperband"), 13)
    first = [record for record in records if record.epochs == 1]
    second = [record for record in records if record.epochs == 3]
    assert len(first) == 9
    ranked = sorted((r for r in first if r.score is not None), key=lambda r: -(r.score or 0))
    # One of nine has failed, so one trial less goes on: a failure is never promoted.
    assert {record.continued_from for record in second if record.continued_from is not None} == {
        record.number for record in ranked[:2]
    }
    for record in second:
        if record.continued_from is not None:
            assert record.values == records[record.continued_from].values


def test_the_bayesian_searcher_turns_to_the_good_region() -> None:
    rates = [record.values["optimizer.learning_rate"] for record in search(oracle("bayesian"), 11)]
    # A decade around .05 is a third of the axis: by chance two of the seven proposals of the model would lie there.
    assert sum(0.0158 <= rate <= 0.158 for rate in rates[4:]) >= 4


def test_the_direction_is_known() -> None:
    """A rank is to be small: with its sign turned, the same trials are promoted."""
    assert (OBJECTIVE.direction, Objective.parse("avg_rank").direction) == ("max", "min")
    turned = oracle("hyperband", objective=Objective.parse("avg_rank"))
    records: list[TrialRecord] = []
    for _ in range(12):
        record = turned.propose()
        assert record is not None
        run(record)
        record.score = None if record.score is None else -record.score
        turned.tell(record)
        records.append(record)
    expected = search(oracle("hyperband"), 12)
    assert [record.codes for record in records] == [record.codes for record in expected]


@pytest.mark.parametrize("name", ["ndcg", "ndgc@10", "recall@0", "loss", "test/ndcg@10"])
def test_an_unknown_objective_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"`ndcg@K`"):
        Objective.parse(name)


def test_a_small_space_is_exhausted() -> None:
    values: dict[str, Any] = {"type": "choice", "values": ["cross-entropy", "bpr-max"]}
    small = parse_space("gru4rec", {"space": {"objective.loss": values}}, source="x")
    asked = TrialOracle("random", small, OBJECTIVE, 0)
    found = []
    while (record := asked.propose()) is not None:
        record.status, record.score = "completed", 0.5
        asked.tell(record)
        found.append(record.values["objective.loss"])
    assert sorted(found) == ["bpr-max", "cross-entropy"]
