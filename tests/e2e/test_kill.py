"""`kill -9` while a model is trained or measured, then `--resume`: the result of an uninterrupted run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.one_stack]

TRAIN = [
    *("--model", "gru4rec", "--set", "data.synthetic={num_sessions: 3000, num_items: 300, num_categories: 10}"),
    *("--set", "model.layers=[24]", "--set", "objective.num_negatives=64", "--set", "training.batch_size=8"),
    *("--set", "training.epochs=3", "--set", "training.checkpoint_minutes=0", "--set", "training.block_steps=100"),
    *("--set", "evaluation.baselines=[popularity, item_knn]"),
]


# Runs a module, and ends it by SIGKILL just before it renames something to a path that matches a pattern: polling for
# the file from outside would miss the moments that last a few milliseconds.
KILLED_AT = """
import fnmatch, os, runpy, signal, sys
pattern = sys.argv.pop(1)
def kill(event, arguments):
    if event == "os.rename" and fnmatch.fnmatch(os.fspath(arguments[1]), pattern):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def run_module(*arguments: object) -> int:
    return subprocess.run([sys.executable, "-m", *map(str, arguments)], capture_output=True, timeout=300).returncode


def run_killed_at(pattern: object, *arguments: object) -> None:
    command = [sys.executable, "-c", KILLED_AT, str(pattern), *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]


def comparable(metrics: dict[str, Any]) -> dict[str, Any]:
    for part in metrics.values():
        if isinstance(part, dict):
            for rate in ("seconds", "events_per_second", "mini_batches_per_second"):
                part.pop(rate, None)
    return metrics


def read(path: Path) -> dict[str, Any]:
    return comparable(json.loads(path.read_text()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    assert run_module("tfrec.train", *TRAIN, "--output", run) == 0
    return run


@pytest.mark.parametrize(
    "moment",
    [
        "checkpoints/epoch-00000-block-0000000[01][1-9]",  # early in the first epoch
        "checkpoints/epoch-00001-block-*",  # a checkpoint of the second epoch is written, but under its temporary name
        "evaluation.partial/full-item_knn.json",  # between two models of the evaluation
    ],
)
def test_training_and_its_evaluation(moment: str, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_killed_at(run / moment, "tfrec.train", *TRAIN, "--output", run)
    assert not (run / "metrics.json").exists()
    assert run_module("tfrec.train", *TRAIN, "--output", run, "--resume") == 0
    assert read(run / "metrics.json") == read(whole / "metrics.json")
    assert not (run / "evaluation.partial").exists()


def test_a_later_evaluation(whole: Path, tmp_path: Path) -> None:
    evaluate = ["tfrec.evaluate", "--run", whole, "--split", "valid", "--output"]
    assert run_module(*evaluate, tmp_path / "whole.json") == 0
    run_killed_at(tmp_path / "out.json.partial" / "0" / "full-item_knn.json", *evaluate, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
    stored = tmp_path / "out.json.partial" / "0" / "full-popularity.json"
    document = json.loads(stored.read_text())
    document["result"]["metrics"]["recall@1"] = marked = 0.123456  # shows that the stored result is taken over
    stored.write_text(json.dumps(document))
    assert run_module(*evaluate, tmp_path / "out.json", "--resume") == 0
    results = [json.loads((tmp_path / name).read_text()) for name in ("whole.json", "out.json")]
    for result in results:
        del result["created"], result["metrics"]["seconds"]
        models = result["protocols"][0]["models"]
        for model in models.values():
            del model["seconds"]
        assert result["baselines"]["popularity"].pop("recall@1") == models["popularity"]["metrics"].pop("recall@1")
    taken_over = [result["protocols"][0]["models"]["popularity"]["difference"].pop("recall@1") for result in results]
    recall = results[0]["metrics"]["recall@1"]
    assert taken_over[1]["value"] == pytest.approx(recall - marked)
    assert results[0] == results[1]
    assert not (tmp_path / "out.json.partial").exists()
