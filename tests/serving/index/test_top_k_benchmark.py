"""The benchmark of the indices with tiny sizes: what it checks and reports, never how fast it is."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.benchmarks import registry
from tfrec.benchmarks.served_catalogue import raw_ids, served_catalogue
from tfrec.benchmarks.top_k import QUICK
from tfrec.errors import TfrecError
from tfrec.serving.index.exact_index import ExactIndex

pytestmark = [pytest.mark.one_stack, pytest.mark.usefixtures("graphs_as_they_are")]

_TINY = {
    "items": 3000,
    "groups": 20,
    "random_items": 2000,
    "dim": 8,
    "calls": ((1, 3), (4, 2)),
    "queries": 32,
    "repetitions": 2,
}


def test_times_and_recalls_of_all_indices():
    assert QUICK.items < 1_000_000
    report = registry.run_benchmark("top_k", quick=True, changes=_TINY)
    ours = ["tfrec exact", "tfrec IVF55, 8 probes"]
    cases = [f"{what}, {name}" for what in ("search", "recommend") for name in ours]
    timed = [figure for figure in report.figures if figure.unit == "ms, p50"]
    assert [figure.case for figure in timed if figure.group == "batch 1" and "tfrec" in figure.case] == cases
    assert {figure.group for figure in timed} == {"batch 1", "batch 4"}
    assert all(value > 0 for figure in timed for value in figure.values)
    recalls = {(figure.group, figure.case): figure.values[0] for figure in report.figures if "recall" in figure.unit}
    assert recalls["clustered vectors", "tfrec exact"] == 1.0
    assert recalls["clustered vectors", ours[1]] >= 0.95
    assert 0 < recalls["2,000 vectors at random", "tfrec IVF45, 8 probes"] < 1
    by_case = {figure.case: figure.values for figure in timed if figure.group == "batch 1"}
    faster = [f for f in report.figures if f.unit == "times as fast as exact" and f.group == "batch 1"]
    assert [figure.case for figure in faster] == [cases[1], cases[3]]
    for figure, exact in zip(faster, (cases[0], cases[2]), strict=True):
        assert figure.values == tuple(a / b for a, b in zip(by_case[exact], by_case[figure.case], strict=True))


def test_a_served_catalogue_answers_in_raw_ids_without_the_history(tmp_path):
    vectors = np.random.default_rng(2).standard_normal((300, 4)).astype(np.float32)
    catalogue = served_catalogue(vectors, "exact", tmp_path / "saved", 5)
    history = np.array([[3, 17], [250, 3]])
    answer = (catalogue.recommend(raw_ids(history)) - raw_ids(np.zeros(1, int))) // 7  # row r has id 7 r + 2^33
    assert answer.shape == (2, 5)
    assert all(len(set(answer[row]) - set(history[row])) == 5 for row in range(2))
    found = catalogue.search(vectors[:1]) - 2
    assert found[0].tolist() == np.argsort(-(vectors @ vectors[0]), kind="stable")[:5].tolist()


def test_an_index_that_misses_items_is_not_timed(monkeypatch):
    monkeypatch.setattr(ExactIndex, "_nearest", lambda self, queries, k: ExactIndex._best_rows(self, queries, 0, 9, k))
    with pytest.raises(TfrecError, match="tfrec exact: recall@10 on clustered vectors is at least"):
        registry.run_benchmark("top_k", quick=True, changes=_TINY)
