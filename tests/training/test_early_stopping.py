"""Validation, patience, best weights, session order and the loss trace."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tfrec.data.conversion import convert
from tfrec.data.conversion_options import parse_options
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.training.experiment import run_experiment
from tfrec.training.loss_trace import compare_loss_trace
from tfrec.training.model_store import load_run, run_config
from tfrec.training.validation import Validation

QUIET = Console(quiet=True)
SMALL = ["model.layers=[12]", "objective.num_negatives=16", "training.batch_size=8", "evaluation.baselines=[]"]


def gru4rec(dataset: Path, *assignments: str):
    return run_config("gru4rec", assignments=[*SMALL, f"data.path={dataset}", *assignments])


def valid_mrr(run: Path, dataset: Path) -> float:
    batches = sequence_dataset(InteractionDataset.open(dataset), "valid", 64)
    return evaluate_ranking(load_run(run).model, batches, cutoffs=[10]).metrics["mrr@10"]


def test_training_stops_when_patience_is_used_up_and_keeps_the_best_weights(
    small_dataset: Path, tmp_path: Path
) -> None:
    """A learning rate that is far too high makes the first epochs the best ones."""
    config = gru4rec(
        small_dataset,
        *("training.epochs=12", "training.patience=2", "training.monitor=mrr@10", "optimizer.learning_rate=0.8"),
    )
    metrics = run_experiment(config, tmp_path / "run", QUIET)
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    values = [float(row["valid_mrr@10"]) for row in rows]
    best = int(np.argmax(values)) + 1
    assert metrics["train"]["best_epoch"] == best
    assert len(rows) == best + 2 < 12
    assert metrics["train"]["valid_mrr@10"] == pytest.approx(max(values))
    assert valid_mrr(tmp_path / "run", small_dataset) == pytest.approx(max(values), abs=1e-9)


def test_a_run_resumed_after_its_best_epoch_waits_no_longer_than_an_uninterrupted_one(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    settings = ["training.epochs=12", "training.patience=2", "optimizer.learning_rate=0.8", "training.monitor=mrr@10"]
    config = gru4rec(small_dataset, *settings)
    whole = run_experiment(config, tmp_path / "whole", QUIET)
    validate = Validation.on_epoch_end

    def die_in_the_third_epoch(self: Validation, epoch: int, logs=None) -> None:
        if epoch == 2:
            raise Killed
        validate(self, epoch, logs)

    monkeypatch.setattr(Validation, "on_epoch_end", die_in_the_third_epoch)
    with pytest.raises(Killed):
        run_experiment(config, tmp_path / "killed", QUIET)
    monkeypatch.setattr(Validation, "on_epoch_end", validate)
    resumed = run_experiment(config, tmp_path / "killed", QUIET, resume=True)
    for metrics in (whole, resumed):
        for rate in ("seconds", "events_per_second", "mini_batches_per_second"):
            del metrics["train"][rate]
        del metrics["test"]["seconds"]
    assert resumed == whole


@pytest.mark.parametrize("changed", ["evaluation.tie_rule=median", "evaluation.exclude_history=true"])
def test_what_chooses_the_weights_may_not_change_on_resume(changed: str, small_dataset: Path, tmp_path: Path) -> None:
    """Validation ranks by these; the cut-offs of the report are free, and without patience so are all."""
    settings = ["training.epochs=1", "training.patience=1"]
    run_experiment(gru4rec(small_dataset, *settings), tmp_path / "run", QUIET)
    with pytest.raises(ConfigError, match="configuration differs"):
        run_experiment(gru4rec(small_dataset, *settings, changed), tmp_path / "run", QUIET, resume=True)
    run_experiment(gru4rec(small_dataset, *settings, "evaluation.cutoffs=[3]"), tmp_path / "run", QUIET, resume=True)


def test_patience_needs_a_validation_split(small_dataset: Path, tmp_path: Path) -> None:
    convert(
        parse_options(
            input=(str(small_dataset.parent / "clickstream.parquet"),),
            session_col="session_id",
            output=str(tmp_path / "DS"),
        )
    )
    with pytest.raises(DataError, match=r"validation split.*--valid-days"):
        run_experiment(gru4rec(tmp_path / "DS", "training.patience=1"), tmp_path / "run", QUIET)


def test_random_order_reaches_every_event_in_another_order(small_dataset: Path, tmp_path: Path) -> None:
    runs = {}
    for name, assignment in (("time", "false"), ("random", "true"), ("again", "true")):
        config = gru4rec(small_dataset, "training.epochs=2", f"training.random_order={assignment}")
        run_experiment(config, tmp_path / name, QUIET)
        runs[name] = list(csv.DictReader((tmp_path / name / "history.csv").open()))
    assert [row["events"] for row in runs["random"]] == [row["events"] for row in runs["time"]]
    assert runs["random"][0]["loss"] != runs["time"][0]["loss"]
    assert [row["loss"] for row in runs["random"]] == [row["loss"] for row in runs["again"]]


def test_order_by_id_is_a_property_of_the_data_set(small_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--sequence-order id"):
        run_experiment(gru4rec(small_dataset, "training.time_sort=false"), tmp_path / "run", QUIET)
    convert(
        parse_options(
            input=(str(small_dataset.parent / "clickstream.parquet"),),
            session_col="session_id",
            sequence_order="id",
            output=str(tmp_path / "DS"),
        )
    )
    ids = InteractionDataset.open(tmp_path / "DS").load_ragged("train").user_ids
    assert (np.diff(ids) > 0).all()
    run_experiment(gru4rec(tmp_path / "DS", "training.time_sort=false", "training.epochs=1"), tmp_path / "ids", QUIET)


def test_loss_trace_is_compared_epoch_by_epoch(small_dataset: Path, tmp_path: Path) -> None:
    # 1.1 / 1 - 1 = .1, .45 / .5 - 1 = -.1; the third published epoch has not been run
    trace = compare_loss_trace([1.1, 0.45], [1.0, 0.5, 0.4])
    assert trace["relative"] == pytest.approx([0.1, -0.1])
    assert trace["largest"] == pytest.approx(0.1)
    config = gru4rec(small_dataset, "training.epochs=1", "training.loss_trace=[1.0]")
    metrics = run_experiment(config, tmp_path / "run", QUIET)
    assert metrics["train"]["loss_trace"]["relative"] == [pytest.approx(metrics["train"]["loss"] - 1.0)]


def test_a_manifest_can_be_replayed_and_refuses_changed_data(small_dataset: Path, tmp_path: Path) -> None:
    from tfrec.command import run_command
    from tfrec.train import main

    run_experiment(gru4rec(small_dataset, "training.epochs=1", "seed=9"), tmp_path / "run", QUIET)
    replay = ["--from-manifest", str(tmp_path / "run" / "manifest.json")]
    assert run_command(main, [*replay, "--output", str(tmp_path / "again")]) == 0
    first, again = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "again"))
    assert first["train"]["loss"] == again["train"]["loss"]
    assert first["test"]["mrr@20"] == again["test"]["mrr@20"]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    manifest["dataset"]["shards"]["test"] = ["0" * 64]
    (tmp_path / "changed.json").write_text(json.dumps(manifest))
    assert run_command(main, ["--from-manifest", str(tmp_path / "changed.json"), "--output", str(tmp_path / "x")]) == 3
    assert run_command(main, ["--from-manifest", str(tmp_path / "none.json"), "--output", str(tmp_path / "y")]) == 3
