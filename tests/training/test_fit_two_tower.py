"""The two-tower model and the retrieval task from configuration to metrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tfrec.config.run_config import RunConfig
from tfrec.training.checkpoint_writer import CheckpointWriter
from tfrec.training.experiment import run_experiment
from tfrec.training.model_store import load_run, run_config

QUIET = Console(quiet=True)


def small(model: str, dataset: Path, *assignments: str) -> RunConfig:
    sizes = ["model.dim=16", "training.batch_size=32", "training.epochs=3", "optimizer.learning_rate=0.01"]
    rest = ["evaluation.baselines=[popularity]", "objective.loss=tfrs-retrieval", f"data.path={dataset}"]
    return run_config(model, assignments=[*sizes, *rest, *assignments])


def weights(run: Path) -> list[np.ndarray]:
    return [variable.numpy() for variable in load_run(run).model.weights]


def test_two_tower_learns_and_can_be_loaded(small_dataset: Path, tmp_path: Path) -> None:
    metrics = run_experiment(small("two_tower", small_dataset), tmp_path / "run", QUIET)
    popularity = metrics["baselines"]["popularity"]["recall@10"]
    assert metrics["test"]["recall@10"] > popularity > metrics["chance"]["recall@10"]
    run = load_run(tmp_path / "run")
    dataset = run.open_dataset()
    assert run.model.vocab_size == dataset.item_vocabulary.size
    np.testing.assert_array_equal(run.model.items.trained.numpy(), dataset.item_vocabulary.counts > 0)


def test_sasrec_as_query_tower(small_dataset: Path, tmp_path: Path) -> None:
    metrics = run_experiment(small("sasrec", small_dataset, "model.blocks=1"), tmp_path / "run", QUIET)
    assert metrics["test"]["recall@10"] > metrics["baselines"]["popularity"]["recall@10"]


def test_a_killed_run_resumes_to_the_same_weights(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups, uniform negatives and drop-out depend on the step alone."""
    config = small(
        "two_tower",
        small_dataset,
        "training.checkpoint_minutes=0",
        "objective.retrieval.group_size=20",
        "objective.retrieval.uniform_negatives=5",
        "training.epochs=2",
    )
    run_experiment(config, tmp_path / "whole", QUIET)
    save = CheckpointWriter._save

    class Killed(BaseException):
        pass

    def save_then_die(self: CheckpointWriter, epoch: int, block: int) -> None:
        save(self, epoch, block)
        if (epoch, block) == (1, 4):
            raise Killed

    monkeypatch.setattr(CheckpointWriter, "_save", save_then_die)
    with pytest.raises(Killed):
        run_experiment(config, tmp_path / "killed", QUIET)
    monkeypatch.setattr(CheckpointWriter, "_save", save)
    run_experiment(config, tmp_path / "killed", QUIET, resume=True)
    for one, two in zip(weights(tmp_path / "killed"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, two)
