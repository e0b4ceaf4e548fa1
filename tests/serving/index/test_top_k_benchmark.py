"""The benchmark of the indices with tiny sizes: what it checks and reports, never how fast it is."""

from __future__ import annotations

import pytest

from tfrec.benchmarks import registry
from tfrec.benchmarks.top_k import QUICK
from tfrec.errors import TfrecError
from tfrec.serving.index.exact_index import ExactIndex

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
    timed = [figure for figure in report.figures if figure.unit == "ms, p50"]
    assert [figure.case for figure in timed if figure.group == "batch 1" and "tfrec" in figure.case] == ours
    assert {figure.group for figure in timed} == {"batch 1", "batch 4"}
    assert all(value > 0 for figure in timed for value in figure.values)
    recalls = {(figure.group, figure.case): figure.values[0] for figure in report.figures if "recall" in figure.unit}
    assert recalls["clustered vectors", "tfrec exact"] == 1.0
    assert recalls["clustered vectors", ours[1]] >= 0.95
    assert 0 < recalls["2,000 vectors at random", "tfrec IVF45, 8 probes"] < 1
    faster = next(f for f in report.figures if f.unit == "times as fast as tfrec exact" and f.group == "batch 1")
    by_case = {figure.case: figure.values for figure in timed if figure.group == "batch 1"}
    assert faster.values == tuple(a / b for a, b in zip(by_case[ours[0]], by_case[ours[1]], strict=True))


def test_an_index_that_misses_items_is_not_timed(monkeypatch):
    monkeypatch.setattr(ExactIndex, "_nearest", lambda self, queries, k: ExactIndex._best_rows(self, queries, 0, 9, k))
    with pytest.raises(TfrecError, match="tfrec exact: recall@10 on clustered vectors is at least"):
        registry.run_benchmark("top_k", quick=True, changes=_TINY)
