"""`kill -9` while a model is trained or measured, then `--resume`: the result of an uninterrupted run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TRAIN = [
    *("--model", "gru4rec", "--set", "data.synthetic={num_sessions: 3000, num_items: 300, num_categories: 10}"),
    *("--set", "model.layers=[24]", "--set", "objective.num_negatives=64", "--set", "training.batch_size=8"),
    *("--set", "training.epochs=3", "--set", "training.checkpoint_minutes=0", "--set", "training.block_steps=100"),
    *("--set", "evaluation.baselines=[popularity, item_knn]"),
]


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_when(process: subprocess.Popen[bytes], path: Path) -> None:
    """Sends SIGKILL as soon as something matches `path` (which may hold wildcards)."""
    limit = time.monotonic() + 120
    while not any(path.parent.parent.glob(f"{path.parent.name}/{path.name}")):
        assert process.poll() is None, "the process ended before it could be killed"
        assert time.monotonic() < limit
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


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
    assert start("tfrec.train", *TRAIN, "--output", run).wait() == 0
    return run


@pytest.mark.parametrize(
    "moment",
    [
        "checkpoints/epoch-00000-block-0000000[01][1-9]",  # early in the first epoch
        "checkpoints/.epoch-00001-block-*.partial",  # while a checkpoint of the second epoch is written
        "evaluation.partial/popularity.json",  # between two models of the evaluation
    ],
)
def test_training_and_its_evaluation(moment: str, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    kill_when(start("tfrec.train", *TRAIN, "--output", run), run / moment)
    assert not (run / "metrics.json").exists()
    assert start("tfrec.train", *TRAIN, "--output", run, "--resume").wait() == 0
    assert read(run / "metrics.json") == read(whole / "metrics.json")
    assert not (run / "evaluation.partial").exists()


def test_a_later_evaluation(whole: Path, tmp_path: Path) -> None:
    evaluate = ["tfrec.evaluate", "--run", whole, "--split", "valid", "--output"]
    assert start(*evaluate, tmp_path / "whole.json").wait() == 0
    kill_when(start(*evaluate, tmp_path / "out.json"), tmp_path / "out.json.partial" / "0" / "popularity.json")
    assert not (tmp_path / "out.json").exists()
    stored = tmp_path / "out.json.partial" / "0" / "popularity.json"
    document = json.loads(stored.read_text())
    document["result"]["metrics"]["recall@1"] = marked = 0.123456  # shows that the stored result is taken over
    stored.write_text(json.dumps(document))
    assert start(*evaluate, tmp_path / "out.json", "--resume").wait() == 0
    results = [json.loads((tmp_path / name).read_text()) for name in ("whole.json", "out.json")]
    for result in results:
        del result["metrics"]["seconds"]
    assert results[1]["baselines"]["popularity"].pop("recall@1") == marked
    del results[0]["baselines"]["popularity"]["recall@1"]
    assert results[0] == results[1]
    assert not (tmp_path / "out.json.partial").exists()
