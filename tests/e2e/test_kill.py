"""`kill -9` while a model is trained or measured, then `--resume`: the result of an uninterrupted run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.run_forked import run_forked

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.one_stack]

TRAIN = [
    *("--model", "gru4rec", "--set", "data.synthetic={num_sessions: 3000, num_items: 300, num_categories: 10}"),
    *("--set", "model.layers=[24]", "--set", "objective.num_negatives=64", "--set", "training.batch_size=8"),
    *("--set", "training.epochs=3", "--set", "training.checkpoint_minutes=0", "--set", "training.block_steps=100"),
    *("--set", "evaluation.baselines=[popularity, item_knn]"),
]
MOMENTS = [
    "checkpoints/epoch-00000-block-0000000[01][1-9]",  # early in the first epoch
    "checkpoints/epoch-00001-block-*",  # a checkpoint of the second epoch is written, but under its temporary name
    "evaluation.partial/full-item_knn.json",  # between two models of the evaluation
]


def comparable(metrics: dict[str, Any]) -> dict[str, Any]:
    for part in metrics.values():
        if isinstance(part, dict):
            for rate in ("seconds", "events_per_second", "mini_batches_per_second"):
                part.pop(rate, None)
    return metrics


def read(path: Path) -> dict[str, Any]:
    return comparable(json.loads(path.read_text()))


def evaluation(folder: Path, name: str) -> tuple[Any, ...]:
    return ("--run", folder / "whole", "--split", "valid", "--output", folder / name)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole run, one that was killed and resumed and killed again, and a killed evaluation."""
    folder = tmp_path_factory.mktemp("killed")
    run = folder / "run"
    train = [*TRAIN, "--output", run]
    run_forked(
        ("train", None, *TRAIN, "--output", folder / "whole"),
        ("train", run / MOMENTS[0], *train),
        *(("train", run / moment, *train, "--resume") for moment in MOMENTS[1:]),
        ("evaluate", folder / "out.json.partial" / "0" / "full-item_knn.json", *evaluation(folder, "out.json")),
    )
    return folder


def test_training_and_its_evaluation(killed: Path) -> None:
    run = killed / "run"
    assert not (run / "metrics.json").exists()
    assert (run / "evaluation.partial" / "full-popularity.json").exists()
    run_forked(("train", None, *TRAIN, "--output", run, "--resume"))
    assert read(run / "metrics.json") == read(killed / "whole" / "metrics.json")
    assert not (run / "evaluation.partial").exists()


def test_a_later_evaluation(killed: Path) -> None:
    assert not (killed / "out.json").exists()
    stored = killed / "out.json.partial" / "0" / "full-popularity.json"
    document = json.loads(stored.read_text())
    document["result"]["metrics"]["recall@1"] = marked = 0.123456  # shows that the stored result is taken over
    stored.write_text(json.dumps(document))
    run_forked(
        ("evaluate", None, *evaluation(killed, "whole.json")),
        ("evaluate", None, *evaluation(killed, "out.json"), "--resume"),
    )
    results = [json.loads((killed / name).read_text()) for name in ("whole.json", "out.json")]
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
    assert not (killed / "out.json.partial").exists()
