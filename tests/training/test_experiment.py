"""A run from configuration to metrics: repeatable, resumable, and whole or refused."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError, DataError, TrainingError
from tfrec.training.checkpoint_writer import CheckpointWriter
from tfrec.training.checkpoints import list_checkpoints
from tfrec.training.experiment import run_experiment
from tfrec.training.model_store import load_run, run_config

QUIET = Console(quiet=True)


def gru4rec(dataset: Path, *assignments: str) -> RunConfig:
    small = ["model.layers=[12]", "objective.num_negatives=16", "training.batch_size=8", "training.epochs=2"]
    baselines = "evaluation.baselines=[popularity]"
    return run_config("gru4rec", assignments=[*small, baselines, f"data.path={dataset}", *assignments])


def weights(run: Path) -> list[np.ndarray]:
    return [variable.numpy() for variable in load_run(run).model.weights]


def test_the_run_directory_holds_everything(small_dataset: Path, tmp_path: Path) -> None:
    metrics = run_experiment(gru4rec(small_dataset), tmp_path / "run", QUIET)
    run = tmp_path / "run"
    assert json.loads((run / "metrics.json").read_text()) == metrics
    assert metrics["tie_rule"] == "conservative"
    assert metrics["protocol"] == "full"
    for name in ("recall@20", "mrr@20", "hit@10", "ndcg@10"):
        assert 0 < metrics["test"][name] < 1
    # 60 items: a random ranking hits within 20 in 20 / 60 of the cases.
    assert metrics["chance"]["recall@20"] == pytest.approx(1 / 3)
    assert metrics["test"]["recall@20"] > metrics["baselines"]["popularity"]["recall@20"] > 1 / 3
    assert metrics["train"]["events_per_second"] > 0
    rows = list(csv.DictReader((run / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    dataset = InteractionDataset.open(small_dataset)
    pairs = dataset.num_events("train") - dataset.num_sequences("train")
    assert float(rows[0]["events"]) == pairs  # every (input, target) pair exactly once
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["seed"] == 42
    assert manifest["dataset"]["schema_hash"] == dataset.schema.hash
    assert manifest["versions"]["keras"].startswith("3.")
    assert list((run / "tensorboard").rglob("events.out*"))


def test_one_seed_one_result(small_dataset: Path, tmp_path: Path) -> None:
    first = run_experiment(gru4rec(small_dataset), tmp_path / "a", QUIET)
    again = run_experiment(gru4rec(small_dataset), tmp_path / "b", QUIET)
    other = run_experiment(gru4rec(small_dataset, "seed=7"), tmp_path / "c", QUIET)
    for metrics in (first, again, other):
        del metrics["test"]["seconds"]
    assert first["test"] == again["test"]
    assert first["train"]["loss"] == again["train"]["loss"]
    assert first["test"] != other["test"]
    for one, two in zip(weights(tmp_path / "a"), weights(tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(one, two)


class Killed(BaseException):
    """Stands for a kill: nothing in the training loop handles it."""


@pytest.mark.parametrize("saves_before_the_kill", [1, 3, "end of epoch"])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    saves_before_the_kill: int | str, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a checkpoint after every block, the run is stopped in the middle of an epoch and continued."""
    config = gru4rec(small_dataset, "training.checkpoint_minutes=0", "training.block_steps=10", "training.epochs=3")
    run_experiment(config, tmp_path / "whole", QUIET)
    if saves_before_the_kill == "end of epoch":  # after the last block, before the checkpoint of the epoch
        steps = float(next(csv.DictReader((tmp_path / "whole" / "history.csv").open()))["mini_batches"])
        saves_before_the_kill = math.ceil(steps / 10)

    save, saved = CheckpointWriter._save, []

    def save_then_die(self: CheckpointWriter, epoch: int, block: int) -> None:
        save(self, epoch, block)
        saved.append((epoch, block))
        if len(saved) == saves_before_the_kill:
            raise Killed

    monkeypatch.setattr(CheckpointWriter, "_save", save_then_die)
    with pytest.raises(Killed):
        run_experiment(config, tmp_path / "killed", QUIET)
    assert not (tmp_path / "killed" / "metrics.json").exists()
    monkeypatch.setattr(CheckpointWriter, "_save", save)
    resumed = run_experiment(config, tmp_path / "killed", QUIET, resume=True)

    whole = json.loads((tmp_path / "whole" / "metrics.json").read_text())
    for metrics in (resumed, whole):
        del metrics["test"]["seconds"]
    assert resumed["test"] == whole["test"]
    for one, two in zip(weights(tmp_path / "killed"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, two)
    losses = [
        [row["loss"] for row in csv.DictReader((tmp_path / name / "history.csv").open())]
        for name in ("killed", "whole")
    ]
    assert losses[0] == losses[1]


def test_resuming_refuses_another_configuration_and_other_data(small_dataset: Path, tmp_path: Path) -> None:
    run_experiment(gru4rec(small_dataset, "training.epochs=1"), tmp_path / "run", QUIET)
    with pytest.raises(ConfigError, match="configuration differs"):
        run_experiment(gru4rec(small_dataset, "training.epochs=2"), tmp_path / "run", QUIET, resume=True)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["dataset"]["shards"]["train"][0] = "0" * 64
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="data has changed"):
        run_experiment(gru4rec(small_dataset, "training.epochs=1"), tmp_path / "run", QUIET, resume=True)


def test_a_loss_that_is_not_a_number_stops_the_run(small_dataset: Path, tmp_path: Path) -> None:
    config = gru4rec(small_dataset, "optimizer.learning_rate=1e38", "objective.loss=bpr")
    with pytest.raises(TrainingError, match=r"loss is `(nan|inf)`.*learning rate"):
        run_experiment(config, tmp_path / "run", QUIET)
    assert list_checkpoints(tmp_path / "run" / "checkpoints") == []
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_output_directories_are_not_overwritten_by_accident(small_dataset: Path, tmp_path: Path) -> None:
    config = gru4rec(small_dataset, "training.epochs=1")
    run_experiment(config, tmp_path / "run", QUIET)
    with pytest.raises(ConfigError, match="--overwrite"):
        run_experiment(config, tmp_path / "run", QUIET)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(ConfigError, match="not a run of tfrec"):
        run_experiment(config, tmp_path / "photos", QUIET, overwrite=True)
    assert (tmp_path / "photos" / "cat.jpg").exists()
    with pytest.raises(ConfigError, match="no run to resume"):
        run_experiment(config, tmp_path / "new", QUIET, resume=True)


def test_a_split_that_is_missing_is_named_before_anything_is_written(small_dataset: Path, tmp_path: Path) -> None:
    config = gru4rec(small_dataset).model_copy(update={"data": gru4rec(tmp_path / "none").data})
    with pytest.raises(DataError, match="none"):
        run_experiment(config, tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["popularity", "session_popularity", "markov", "item_knn"])
def test_counting_models_are_runs_like_any_other(name: str, small_dataset: Path, tmp_path: Path) -> None:
    config = run_config(name, assignments=[f"data.path={small_dataset}", "evaluation.baselines=[]"])
    metrics = run_experiment(config, tmp_path / name, QUIET)
    assert metrics["test"]["recall@20"] > 1 / 3
    loaded = load_run(tmp_path / name)
    assert loaded.open_dataset().path == str(small_dataset)
    assert loaded.model.registered_name == name


def test_a_damaged_checkpoint_is_named(small_dataset: Path, tmp_path: Path) -> None:
    run_experiment(gru4rec(small_dataset, "training.epochs=1"), tmp_path / "run", QUIET)
    checkpoint = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    (checkpoint / "state.index").write_bytes(b"garbage")
    with pytest.raises(DataError, match=checkpoint.name):
        load_run(tmp_path / "run")


def test_evaluation_of_another_data_set_needs_the_same_schema(
    small_dataset: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tfrec.config.clickstream_config import ClickstreamConfig
    from tfrec.errors import SchemaMismatchError
    from tfrec.training.synthetic_data import synthetic_dataset

    run_experiment(gru4rec(small_dataset, "training.epochs=1"), tmp_path / "run", QUIET)
    synthetic_dataset(ClickstreamConfig(num_sessions=500, num_items=50, num_categories=5), tmp_path / "other", QUIET)
    with pytest.raises(SchemaMismatchError, match="item"):
        load_run(tmp_path / "run").open_dataset(str(tmp_path / "other"))


def test_a_step_that_ruins_the_weights_is_not_saved(small_dataset: Path, tmp_path: Path) -> None:
    """The loss is taken before the update: with a single step it is finite although the weights no longer are."""
    config = gru4rec(
        small_dataset,
        "optimizer.learning_rate=3e38",
        "training.batch_size=10000",
        "training.epochs=1",
        "training.block_steps=1",
    )
    with pytest.raises(TrainingError, match=r"not finite|is `nan`|is `inf`"):
        run_experiment(config, tmp_path / "run", QUIET)
    assert list_checkpoints(tmp_path / "run" / "checkpoints") == []


def test_a_wrong_baseline_is_refused_before_anything_is_written(small_dataset: Path, tmp_path: Path) -> None:
    for name, message in (("popularty", "Did you mean `popularity`"), ("gru4rec", "trained, not counted")):
        with pytest.raises(ConfigError, match=message):
            run_experiment(gru4rec(small_dataset, f"evaluation.baselines=[{name}]"), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="twice"):
        gru4rec(small_dataset, "evaluation.cutoffs=[5, 5]")


def test_settings_of_the_evaluation_may_change_on_resume(small_dataset: Path, tmp_path: Path) -> None:
    run_experiment(gru4rec(small_dataset, "training.epochs=1"), tmp_path / "run", QUIET)
    changed = gru4rec(small_dataset, "training.epochs=1", "evaluation.cutoffs=[3]", "evaluation.tie_rule=median")
    metrics = run_experiment(changed, tmp_path / "run", QUIET, resume=True)
    assert "recall@3" in metrics["test"]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert len(manifest["resumed"]) == 1


def test_overwrite_spares_directories_that_only_look_like_a_run(small_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match="not a run of tfrec"):
        run_experiment(gru4rec(small_dataset), tmp_path / "project", QUIET, overwrite=True)
    assert (tmp_path / "project" / "config.yaml").exists()


def test_a_run_of_one_epoch_killed_after_its_last_block_resumes(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = gru4rec(small_dataset, "training.checkpoint_minutes=0", "training.block_steps=1000", "training.epochs=1")
    save = CheckpointWriter._save

    def save_then_die(self: CheckpointWriter, epoch: int, block: int) -> None:
        save(self, epoch, block)
        raise Killed

    monkeypatch.setattr(CheckpointWriter, "_save", save_then_die)
    with pytest.raises(Killed):
        run_experiment(config, tmp_path / "run", QUIET)
    monkeypatch.setattr(CheckpointWriter, "_save", save)
    metrics = run_experiment(config, tmp_path / "run", QUIET, resume=True)
    assert metrics["train"]["epochs"] == 1


def test_one_lane_without_negatives_is_refused(small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to compare"):
        run_experiment(
            gru4rec(small_dataset, "training.batch_size=1", "objective.num_negatives=0"), tmp_path / "run", QUIET
        )
