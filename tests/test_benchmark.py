"""The benchmark command with tiny sizes: what it writes, what it checks, never how fast it is."""

from __future__ import annotations

import dataclasses
import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec import benchmark
from tfrec.benchmarks import (
    conversion,
    evaluation,
    feseq,
    gru4rec_training,
    hstu,
    impression_conversion,
    moe,
    reading,
    registry,
    same_steps,
    vocabulary_scaling,
)
from tfrec.benchmarks.gru4rec_cases import FULL_SOFTMAX, KERAS_SYSTEMS, SAME_ALGORITHM, keras_system, setting
from tfrec.benchmarks.own_process import OwnProcess
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.benchmarks.zipf_log import session_lengths, zipf_items, zipf_log
from tfrec.command import run_command
from tfrec.data.session_blocks import session_blocks
from tfrec.errors import TfrecError

pytestmark = pytest.mark.one_stack


@pytest.fixture
def tiny(monkeypatch):
    """Replaces the quick sizes by ones that take a second or two."""
    sizes = {
        conversion: {"events": 100_000, "sequences": 500, "repetitions": 2},
        reading: {"mean_lengths": (5.0,), "sequences": 300, "batch_size": 32, "repetitions": 2},
        evaluation: {"small": (300, 400), "large": (1000, 64), "dim": 16, "repetitions": 2},
        gru4rec_training: {
            "losses": ("bpr-max",),
            "items": (500,),
            "events_per_item": 12,
            "block_steps": 10,
            "blocks": 3,
            "keras_systems": (SAME_ALGORITHM,),
            "keras_blocks": 2,
            "repetitions": 2,
        },
        impression_conversion: {"rows": 300, "median_length": 5.0},
        moe: {"dim": 12, "hidden": 16, "experts": 6, "tokens": 100, "steps": 1, "repetitions": 2},
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


def test_selected_experts_give_what_all_experts_give(tiny):
    report = registry.run_benchmark("moe", quick=True)
    assert [(figure.group, figure.case) for figure in report.figures] == [
        (group, case) for group in ("inference", "training step") for case in ("all experts", "selected experts")
    ]
    assert len(report.checks) == 2


@pytest.mark.parametrize("name", ["SASRec", "HSTU, relative bias", "HSTU, rotary time"])
def test_steps_of_hstu_and_sasrec_learn(name):
    sizes = {"tokens": 40, "items": 50, "num_negatives": 9, "steps": 3, "memory_rows": 1}
    sizes |= {"dim": 8, "blocks": 1, "heads": 2}
    rate, losses = hstu.speed_case(name, 10, sizes)()
    assert rate > 0
    assert losses[-1] < losses[0]
    growth, [loss] = hstu.memory_case(name, 20, sizes)()
    assert growth >= 0
    assert np.isfinite(loss)


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_feseq_and_its_keras_twin_begin_alike(mode):
    sizes = {"batch_size": 4, "dim": 4, "heads": 2, "blocks": 1, "steps": 1}
    (rate, [memory, ours]), (_, [_, theirs]) = (feseq.timed_case(own, True, 6, mode, sizes)() for own in (True, False))
    assert rate > 0
    assert memory > 0
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_conversion_of_impressions(tiny):
    report = registry.run_benchmark("impression_conversion", quick=True)
    assert [figure.case for figure in report.figures] == ["convert", "read shuffled"]
    assert report.checks == ["all 300 rows are in the dataset"]


@pytest.mark.parametrize("name", ["gru4rec_training", "vocabulary_scaling"])
def test_training_benchmarks_check_loss_and_equality(tiny, name):
    report = registry.run_benchmark(name, quick=True)
    falling = sum("is finite and falls" in check for check in report.checks)
    if name == "gru4rec_training":
        assert falling == 3  # Keras, and ours in two processes
        assert any("so are all weights after them" in check for check in report.checks)
        assert {figure.unit for figure in report.figures} == {"mini-batches/s", "events/s", "times as fast"}
        speeds = {figure.case: figure.values for figure in report.figures if figure.unit == "mini-batches/s"}
        over = next(figure for figure in report.figures if figure.case == f"over {SAME_ALGORITHM}")
        assert over.values == tuple(np.array(speeds["tfrec"]) / np.array(speeds[SAME_ALGORITHM]))
    else:
        assert falling == 2  # two sizes
        assert [figure.case for figure in report.figures] == ["100 items", "1,000 items"]


@pytest.mark.parametrize("loss", ["cross-entropy", "bpr-max"])
def test_steps_of_keras_and_ours_agree_and_a_wrong_optimiser_shows(loss, monkeypatch):
    counts = np.concatenate([[0, 0], np.arange(300, 0, -1)])
    ids = np.random.default_rng(0).integers(2, 302, 3_000)
    block = next(session_blocks([(ids, np.full(600, 5))], 32, 2))
    agreement = same_steps.compare_steps(setting(loss), counts, block)
    assert agreement.holds
    assert agreement.keras_losses[1] < agreement.keras_losses[0]
    # Keras' own Adagrad starts its sums of squares elsewhere, does not sum repeated rows and has no momentum.
    monkeypatch.setattr(same_steps, "keras_momentum_adagrad", lambda _: keras.optimizers.Adagrad(0.1))
    assert not same_steps.compare_steps(setting(loss), counts, block).holds


@pytest.mark.parametrize("name", KERAS_SYSTEMS)
def test_every_keras_system_trains(name):
    counts = np.concatenate([[0, 0], np.arange(300, 0, -1)])
    ids = np.random.default_rng(0).integers(2, 302, 3_000)
    block = next(session_blocks([(ids, np.full(600, 5))], 32, 6))
    model, batches = keras_system(name, setting("cross-entropy"), counts, [block])
    losses = [model.fit(batches.take(6), verbose=0, shuffle=False).history["loss"][0] for _ in range(3)]
    assert losses[2] < losses[0]
    # 32 + 2048 weighted candidates, or 302 items: the first loss is near the logarithm of the number of classes
    assert losses[0] < (np.log(302) + 0.5 if name == FULL_SOFTMAX else 20.0)


def test_the_sampler_of_the_keras_model_follows_the_counts():
    counts = np.array([0, 0, 1, 4, 16, 100])
    model, _ = keras_system(SAME_ALGORITHM, setting("cross-entropy"), counts, [_any_block()])
    drawn = np.concatenate([model._sample(tf.constant([2, 3])).numpy() for _ in range(20)])
    # Exponent 0.5: weights 1, 2, 4 and 10 of 17; 40,960 draws have a standard error below 0.0025.
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=6) / len(drawn), np.array([0, 0, 1, 2, 4, 10]) / 17, atol=0.01
    )


def _any_block():
    return next(session_blocks([(np.full(3_000, 2), np.full(600, 5))], 32, 2))


CASES = """
def counted(start):
    calls = []

    def case():
        calls.append(start)
        if len(calls) == 3:
            raise ValueError("the third call fails")
        return start + len(calls), list(calls)

    return case
"""


def test_a_case_in_a_process_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "cases_for_a_process.py").write_text(CASES)
    monkeypatch.syspath_prepend(tmp_path)
    cases = importlib.import_module("cases_for_a_process")
    case = OwnProcess(cases.counted, 10.0)
    assert (case(), case()) == (11.0, 12.0)
    assert case.losses == [10.0, 10.0]
    with pytest.raises(TfrecError, match="ended early"):
        case()
    case.close()


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
