"""SASRec from configuration to metrics: repeatable, resumable, in every precision."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError
from tfrec.training import fit_epochs
from tfrec.training.checkpoint_writer import CheckpointWriter
from tfrec.training.checkpoints import list_checkpoints
from tfrec.training.experiment import run_experiment
from tfrec.training.model_store import load_run, run_config
from tfrec.training.weight_average import WeightAverage

QUIET = Console(quiet=True)


def sasrec(dataset: Path, *assignments: str) -> RunConfig:
    small = ["model.dim=16", "model.blocks=1", "model.max_length=12", "training.batch_size=32", "training.epochs=3"]
    rest = ["evaluation.baselines=[popularity]", "optimizer.learning_rate=0.01", f"data.path={dataset}"]
    return run_config("sasrec", assignments=[*small, *rest, *assignments])


def weights(run: Path) -> list[np.ndarray]:
    return [variable.numpy() for variable in load_run(run).model.weights]


def losses(run: Path) -> list[float]:
    return [float(row["loss"]) for row in csv.DictReader((run / "history.csv").open())]


def test_it_learns_and_counts_every_target_once(small_dataset: Path, tmp_path: Path) -> None:
    metrics = run_experiment(sasrec(small_dataset, "model.max_length=50"), tmp_path / "run", QUIET)
    popularity = metrics["baselines"]["popularity"]["recall@10"]
    assert metrics["test"]["recall@10"] > popularity > metrics["chance"]["recall@10"]
    dataset = InteractionDataset.open(small_dataset)
    row = next(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    assert float(row["events"]) == dataset.num_events("train") - dataset.num_sequences("train")
    assert float(row["mini_batches"]) == -(-dataset.num_sequences("train") // 32)
    [checkpoint] = list_checkpoints(tmp_path / "run" / "checkpoints")[-1:]
    steps = [
        int(tf.train.load_variable(str(checkpoint / "state"), name))
        for name, shape in tf.train.list_variables(str(checkpoint / "state"))
        if name.startswith("training_state/0/")
    ]
    assert steps == [3 * float(row["mini_batches"])]  # the end of the data is no step
    # An untrained model of 60 items has a loss near log 60 = 4.09; training must bring it well below.
    trace = losses(tmp_path / "run")
    assert trace[0] > trace[1] > trace[2]
    assert trace[-1] < 3.9


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_killed_run_resumes_to_the_same_weights(
    precision: str, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sasrec(
        small_dataset,
        f"training.precision={precision}",
        "training.checkpoint_minutes=0",
        "model.dropout=0.3",
        "objective.loss=sampled-softmax",
        "optimizer.schedule=cosine",
        "optimizer.warmup_steps=5",
        "training.weight_average=0.5",
        "training.patience=9",
        "training.augmentation.mask_probability=0.5",
        "training.augmentation.crop_probability=0.2",
    )
    run_experiment(config, tmp_path / "whole", QUIET)
    save, saved = CheckpointWriter._save, []

    class Killed(BaseException):
        pass

    def save_then_die(self: CheckpointWriter, epoch: int, block: int) -> None:
        save(self, epoch, block)
        saved.append((epoch, block))
        if (epoch, block) == (1, 4):
            raise Killed

    monkeypatch.setattr(CheckpointWriter, "_save", save_then_die)
    with pytest.raises(Killed):
        run_experiment(config, tmp_path / "killed", QUIET)
    monkeypatch.setattr(CheckpointWriter, "_save", save)
    run_experiment(config, tmp_path / "killed", QUIET, resume=True)
    for one, two in zip(weights(tmp_path / "killed"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, two)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_about_as_well(precision: str, small_dataset: Path, tmp_path: Path) -> None:
    for name, value in (("full", "float32"), ("mixed", precision)):
        config = sasrec(small_dataset, f"training.precision={value}", "model.dropout=0.0")
        run_experiment(config, tmp_path / name, QUIET)
    full, mixed = losses(tmp_path / "full"), losses(tmp_path / "mixed")
    np.testing.assert_allclose(mixed, full, rtol=0.03)
    assert {variable.dtype for variable in load_run(tmp_path / "mixed").model.trainable_variables} == {"float32"}


@pytest.mark.parametrize(
    ("assignment", "remedies"),
    [
        ("optimizer.gradient_cap=1", ("optimizer.gradient_cap=0", "training.strategy=single")),
        ("training.precision=mixed_float16", ("training.precision=mixed_bfloat16", "training.strategy=single")),
    ],
)
def test_what_replicas_cannot_decide_is_refused(assignment: str, remedies: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        run_config("sasrec", assignments=[assignment, "training.strategy=mirrored"])
    for words in (assignment.split("=")[0], "training.strategy=mirrored", *remedies):
        assert words in str(refused.value)
    run_config("sasrec", assignments=[assignment])  # on one device
    run_config("sasrec", assignments=["training.precision=mixed_bfloat16", "training.strategy=mirrored"])


def test_what_is_kept_is_the_average_of_the_epochs(small_dataset: Path, tmp_path: Path) -> None:
    ends: list[list[np.ndarray]] = []

    class Recorder(WeightAverage):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            ends.append([weight.numpy() for weight in self.weights])
            super().on_epoch_end(epoch, logs)

    config = sasrec(small_dataset, "training.weight_average=0.75", "training.patience=9", "training.epochs=2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_epochs, "WeightAverage", Recorder)
        metrics = run_experiment(config, tmp_path / "run", QUIET)
    assert metrics["train"]["best_epoch"] == 2  # so early, every epoch is better than the one before
    for kept, first, second in zip(weights(tmp_path / "run"), *ends, strict=True):
        np.testing.assert_allclose(kept, 0.75 * first + 0.25 * second, atol=1e-6)
        assert not np.array_equal(first, second)


def test_an_average_without_validation_is_refused(small_dataset: Path) -> None:
    with pytest.raises(ConfigError, match="patience"):
        sasrec(small_dataset, "training.weight_average=0.5")


def test_a_cosine_objective_needs_a_model_that_ranks_by_cosines(small_dataset: Path, tmp_path: Path) -> None:
    config = sasrec(small_dataset, "objective.loss=infonce")
    with pytest.raises(ConfigError, match=r"model\.similarity=cosine"):
        run_experiment(config, tmp_path / "run", QUIET)
    run_experiment(sasrec(small_dataset, "objective.loss=infonce", "model.similarity=cosine"), tmp_path / "ok", QUIET)
    assert losses(tmp_path / "ok")[-1] < losses(tmp_path / "ok")[0]
    assert json.loads((tmp_path / "ok" / "metrics.json").read_text())["test"]["recall@10"] > 0.2
