"""The benchmark command with tiny sizes: what it writes, what it checks, never how fast it is."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tfrec import benchmark
from tfrec.benchmarks import conversion, evaluation, gru4rec_training, reading, registry, vocabulary_scaling
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import session_lengths, zipf_items, zipf_log
from tfrec.command import run_command
from tfrec.errors import TfrecError


@pytest.fixture
def tiny(monkeypatch):
    """Replaces the quick sizes by ones that take a second or two."""
    sizes = {
        conversion: {"events": 100_000, "sequences": 500, "repetitions": 2},
        reading: {"mean_lengths": (5.0,), "sequences": 300, "batch_size": 32, "repetitions": 2},
        evaluation: {"small": (300, 400), "large": (1000, 64), "dim": 16, "repetitions": 2},
        gru4rec_training: {
            "losses": ("bpr-max",),
            "items": 500,
            "events": 6_000,
            "block_steps": 10,
            "blocks": 3,
            "keras_block_steps": 4,
            "repetitions": 2,
        },
        vocabulary_scaling: {
            "items": (100, 1000),
            "keras_items": (),
            "block_steps": 10,
            "blocks": 2,
            "repetitions": 3,
        },
    }
    for module, changes in sizes.items():
        monkeypatch.setattr(module, "QUICK", dataclasses.replace(module.QUICK, **changes))


def test_the_command_writes_tables_and_json(tiny, tmp_path, capsys):
    arguments = ["--quick", "--json", "--output", str(tmp_path / "out"), "--only", "reading", "--only", "evaluation"]
    assert run_command(benchmark.main, arguments) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert json.loads((tmp_path / "out" / "all.json").read_text()) == document
    assert set(document) == {"command", "quick", "commit", "versions", "machine", "benchmarks"}
    assert document["machine"]["cores"] >= 1
    assert {"tfrec", "python", "tensorflow", "keras"} <= set(document["versions"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["all.json", "evaluation.json", "reading.json"]
    reading_report = json.loads((tmp_path / "out" / "reading.json").read_text())
    assert document["benchmarks"]["reading"] == reading_report
    assert [figure["case"] for figure in reading_report["figures"]] == ["in order", "shuffled", "shuffled, bucketed"]
    figure = reading_report["figures"][1]
    assert len(figure["values"]) == reading_report["repetitions"] == 2
    assert 0 < figure["min"] <= figure["median"] <= figure["max"]
    assert figure["ratio"]["to"] == "in order"
    faiss, ours = document["benchmarks"]["evaluation"]["figures"][:2]
    assert (faiss["case"], ours["case"], ours["ratio"]["to"]) == ("faiss IndexFlatIP", "tfrec", "faiss IndexFlatIP")
    assert "2 repetitions" in captured.err


def test_conversion(tiny):
    report = registry.run_benchmark("conversion", quick=True)
    ends = [figure.case for figure in report.figures if figure.group == "end to end"]
    assert ends[0] == "int ids, numpy"
    assert "string ids, numpy" in ends
    writes = [figure.case for figure in report.figures if figure.unit == "sequences/s"]
    assert writes == [case.removeprefix("int ids, ") for case in ends if case.startswith("int")]
    # One check per conversion, one per encoder.
    assert len(report.checks) == len(ends) + len(writes)


@pytest.mark.parametrize("name", ["gru4rec_training", "vocabulary_scaling"])
def test_training_benchmarks_check_loss_and_equality(tiny, name):
    report = registry.run_benchmark(name, quick=True)
    assert sum("is finite and falls" in check for check in report.checks) == 2  # two systems, or two sizes
    if name == "gru4rec_training":
        assert any("both models give the first mini-batch the same loss" in check for check in report.checks)
        assert {figure.unit for figure in report.figures} == {"mini-batches/s", "events/s"}
    else:
        assert [figure.case for figure in report.figures] == ["100 items", "1,000 items"]


def test_an_unknown_name_is_an_error_that_names_the_closest(tmp_path, capsys):
    assert run_command(benchmark.main, ["--only", "readin", "--output", str(tmp_path / "out")]) == 2
    assert "Did you mean `reading`?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ratios_are_taken_within_a_repetition():
    report = BenchmarkReport("name", "Title", 3, {})
    report.add("g", "slow", "x/s", [1.0, 2.0, 4.0])
    report.add("g", "fast", "x/s", [3.0, 4.0, 20.0], relative_to="slow")
    document = report.to_json()["figures"][1]
    # 3/1, 4/2, 20/4: the median of the ratios is 3, the ratio of the medians would be 2.
    assert document["ratio"] == {"to": "slow", "median": 3.0, "min": 2.0, "max": 5.0, "values": [3.0, 2.0, 5.0]}
    assert (document["median"], document["min"], document["max"]) == (4.0, 3.0, 20.0)


def test_a_check_that_fails_stops_the_benchmark():
    report = BenchmarkReport("reading", "Title", 1, {})
    report.check(True, "one is one")
    with pytest.raises(TfrecError, match="`reading` timed something that is wrong; expected: one is two"):
        report.check(False, "one is two")
    assert report.checks == ["one is one"]


def test_cases_take_turns_in_alternating_order():
    calls = []
    values = take_turns({"a": lambda: calls.append("a") or 1.0, "b": lambda: calls.append("b") or 2.0}, 2)
    assert calls == ["a", "b", "a", "b", "b", "a"]  # warm-up, then two rounds
    assert values == {"a": [1.0, 1.0], "b": [2.0, 2.0]}


def test_the_log_is_sorted_has_every_item_and_follows_zipf():
    log = zipf_log(20_000, 100, 8.0)
    times = log["timestamp"].to_numpy()
    assert (np.diff(times) >= 0).all()
    assert set(log["item_id"].to_pylist()) == set(range(100))
    lengths = session_lengths(20_000, 8.0, seed=3)
    assert lengths.min() == 2
    assert abs(lengths.mean() - 8.0) < 0.2  # standard error 6.5 / sqrt(20000) = 0.05
    counts = np.bincount(zipf_items(100_000, 1000, seed=0), minlength=1000)
    harmonic = float((1.0 / np.arange(1, 1001)).sum())  # 7.485
    assert abs(counts[0] / 100_000 - 1.0 / harmonic) < 0.005  # standard error 0.001
    assert abs(counts[9] / 100_000 - 0.1 / harmonic) < 0.002
    texts = zipf_log(1_000, 100, 8.0, string_ids=True)
    same = zipf_log(1_000, 100, 8.0)
    assert texts["item_id"].to_pylist() == [f"i-{item:09d}" for item in same["item_id"].to_pylist()]
