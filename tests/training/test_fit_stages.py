"""UR4Rec through `train`: stages, ablation, memory, cold items, report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.harness.text_shop import COLD_ID, text_shop
from tfrec.config.run_config import StagedRunConfig
from tfrec.config.stages_config import STAGES, JointStageConfig, StageConfig
from tfrec.config.ur4rec_flags import parse_stage_flags
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError, DataError
from tfrec.layers.user_memory import UserMemory
from tfrec.training.evaluate_run import evaluate_run
from tfrec.training.experiment import check_dataset, run_experiment
from tfrec.training.fit_stages import fit_stages, steps_of_a_branch
from tfrec.training.model_store import build_model, load_run, run_config
from tfrec.training.run_directory import RunDirectory
from tfrec.training.user_memories import MEMORIES_FILE, memory_statistics, read_memories, write_memories

QUIET = Console(quiet=True)
SMALL = {
    "model.sasrec.dim": 8,
    "model.sasrec.blocks": 1,
    "model.sasrec.max_length": 8,
    "model.retriever.dim": 8,
    "model.retriever.window": 4,
    "model.retriever.proxies": 2,
    "model.retriever.item_texts": "texts",
    "model.retriever.user_texts": "profiles",
    "model.memory.interactions": 3,
    "joint.num_negatives": 16,
    "joint.targets_per_sequence": 3,
    "training.batch_size": 20,
    "training.monitor": "mrr@10",
    **{f"stages.{stage}.epochs": 2 for stage in STAGES},
    "stages.pretrain_retriever.epochs": 6,
    "stages.end_to_end.patience": 1,
    "sasrec_optimizer.learning_rate": 0.01,
    "retriever_optimizer.learning_rate": 0.01,
    "evaluation.baselines": "[popularity]",
    "evaluation.bootstrap.samples": 50,
    "evaluation.protocol": "both",
    "evaluation.sampled.num_negatives": 9,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return text_shop(tmp_path_factory.mktemp("shop"))


def configured(shop: InteractionDataset, **changes: Any) -> StagedRunConfig:
    settings = {**SMALL, "data.path": shop.path, **{key.replace("__", "."): value for key, value in changes.items()}}
    found = run_config("ur4rec", assignments=[f"{key}={value}" for key, value in settings.items()])
    assert isinstance(found, StagedRunConfig)
    return found


@pytest.fixture(scope="module")
def trained(shop: InteractionDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    run = tmp_path_factory.mktemp("runs") / "run"
    return run, run_experiment(configured(shop), run, QUIET)


def test_every_stage_is_trained_and_recorded(trained: tuple[Path, dict[str, Any]]) -> None:
    run, metrics = trained
    stages = metrics["train"]["stages"]
    assert list(stages) == list(STAGES)
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
    assert metrics["train"]["epochs"] == len(rows)
    by_stage = {number: [row for row in rows if row["stage"] == str(number)] for number in (1, 2, 3, 4)}
    assert {number: len(found) for number, found in by_stage.items()}.items() >= {1: 2, 2: 6, 3: 2}.items()
    assert [bool(by_stage[number][0]["expert_preferences"]) for number in by_stage] == [False, True, True, True]
    assert all(row["fused_loss"] for row in by_stage[3] + by_stage[4])
    measured = [0.0, *(float(row["valid_mrr@10"]) for row in by_stage[4])]  # 0: before the first step, in no row
    best = stages["end_to_end"]
    assert best["valid_mrr@10"] >= max(measured) - 1e-6
    assert best["best_epoch"] in (0, int(np.argmax(measured)))
    np.testing.assert_allclose(sum(metrics["train"]["fusion"].values()), 1.0, rtol=1e-6)
    assert not (run / "best").exists()


def test_ablation_router_and_memory_are_reported(trained: tuple[Path, dict[str, Any]]) -> None:
    run, metrics = trained
    assert {"popularity", "sasrec alone", "retriever alone", "without memory"} == set(metrics["baselines"])
    assert {"popularity", "sasrec alone"} <= set(metrics["sampled"]["baselines"])
    memory = metrics["train"]["memory"]
    assert memory["users"] == 80
    assert memory["updates"] > 80
    assert memory["mean_change"] > 0
    assert metrics["train"]["texts"]["users"]["provenance"] == "unknown"
    page = (run / "report.html").read_text()
    for part in (
        "pretrain_retriever",
        "without memory",
        "Chance",
        "preferences",
        "unknown",
        "parts of this very model",
    ):
        assert part.lower() in page.lower(), part
    usage = json.loads((run / "expert_usage.json").read_text())["epochs"]
    np.testing.assert_allclose(sum(usage[-1]["layers"]["router"]["shares"]), 1.0, rtol=1e-5)


def test_cold_items_rank_above_chance_through_their_texts(
    trained: tuple[Path, dict[str, Any]], shop: InteractionDataset
) -> None:
    run, metrics = trained
    assert (shop.item_vocabulary.counts[shop.item_vocabulary.lookup([COLD_ID, COLD_ID + 7])] == 0).all()
    section = json.loads((run / "evaluation.json").read_text())["protocols"][0]["models"]["ur4rec"]
    (age,) = (slicing for slicing in section["slices"] if slicing["name"] == "item age in training")
    (unseen,) = (part for part in age["rows"] if part["name"] == "unseen")
    assert unseen["n"] == 80  # the last purchase of everyone
    assert unseen["intervals"]["recall@10"]["low"] > 2 * unseen["chance"]["recall@10"]
    assert metrics["baselines"]["sasrec alone"]["recall@10"] < unseen["chance"]["recall@10"]


def test_the_loaded_model_scores_as_it_was_measured(
    trained: tuple[Path, dict[str, Any]], shop: InteractionDataset
) -> None:
    run, metrics = trained
    again = evaluate_run(run, QUIET, baselines=False)["metrics"]
    for name in ("recall@10", "mrr@20"):
        np.testing.assert_allclose(again[name], metrics["test"][name], atol=1e-6)


def test_memories_survive_as_json(
    trained: tuple[Path, dict[str, Any]], shop: InteractionDataset, tmp_path: Path
) -> None:
    run, metrics = trained
    memory = load_run(run).model.memory  # type: ignore[attr-defined]
    stored = memory.vectors.numpy()
    memory.prepare_training()
    users = shop.vocabulary("user")
    fresh = UserMemory(memory.users, memory.dim)
    fresh.build()
    fresh.prepare_training()
    assert read_memories(run / MEMORIES_FILE, fresh, users) == 80
    np.testing.assert_allclose(fresh.vectors.numpy(), stored, rtol=1e-6)
    assert memory_statistics(fresh) == pytest.approx(metrics["train"]["memory"])
    write_memories(tmp_path / "again.json", fresh, users)
    assert (tmp_path / "again.json").read_text() == (run / MEMORIES_FILE).read_text()
    document = json.loads((tmp_path / "again.json").read_text())
    del list(document["users"].values())[-1]["metadata"]
    (tmp_path / "damaged.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="Not a file of memories"):
        read_memories(tmp_path / "damaged.json", fresh, users)
    np.testing.assert_allclose(fresh.vectors.numpy(), stored, rtol=1e-6)  # nothing was taken over


@pytest.mark.one_stack
def test_a_branch_that_is_off_has_no_loss_and_its_stage_is_passed_over(
    shop: InteractionDataset, tmp_path: Path
) -> None:
    console = Console(record=True, quiet=False, width=120, file=(tmp_path / "log").open("w"))
    one: dict[str, Any] = {f"stages__{stage}__epochs": 1 for stage in STAGES}
    one["model__memory__trigger"] = "explicit"
    config = configured(shop, model__fusion__mode="weighted", model__fusion__sasrec_weight=0, **one)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    model: Any = build_model(config, shop)
    assert model.sasrec is None
    summary = fit_stages(model, shop, config, run, console)
    assert summary["stages"]["pretrain_sasrec"] == {"skipped": "its branch is switched off"}
    said = console.export_text()
    assert "Stage pretrain_sasrec: passed over" in said
    assert "Memories stay unused" in said
    assert "  loss: retriever (finding the next items, by the retriever) + 0.1 consistency (" in said
    assert summary["memory"]["users"] == 0
    with run.history.open() as file:
        columns = csv.DictReader(file).fieldnames or []
    assert {"retriever_loss", "contrastive_loss"} <= set(columns)
    assert not {"sasrec_loss", "fused_loss"} & set(columns)
    with pytest.raises(ConfigError, match=r"no stage of `stages\.run` \(pretrain_sasrec\) trains"):
        configured(shop, model__use_sasrec=False, stages__run="[pretrain_sasrec]")


@pytest.mark.parametrize("kind", ["item", "user"])
def test_forgotten_texts_are_found_before_a_run_directory_is_made(
    shop: InteractionDataset, tmp_path: Path, kind: str
) -> None:
    wrong: dict[str, Any] = {f"model__retriever__{kind}_texts": "minilm"}
    wanted = rf"no {kind} vectors `minilm`.*Known: .*texts encode --data DS --of {kind}s --name minilm"
    with pytest.raises(DataError, match=wanted):
        run_experiment(configured(shop, **wrong), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()
    check_dataset(shop, configured(shop, model__use_retriever=False, **wrong))  # nobody reads them


def test_the_step_size_of_a_branch_ends_with_its_own_last_step() -> None:
    both = ["retriever", "sasrec"]
    assert steps_of_a_branch(JointStageConfig(), both, 301) == 151  # SASRec has the first step and the last one
    assert steps_of_a_branch(JointStageConfig(), ["retriever"], 301) == 301  # nobody to take turns with
    assert steps_of_a_branch(JointStageConfig(alternate="adaptive"), both, 301) == 301
    assert steps_of_a_branch(StageConfig(), both, 301) == 301


def test_flags_of_the_publication(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("stages: {end_to_end: {epochs: 7, patience: 3}, joint_finetune: {alternate: adaptive}}")
    flags = parse_stage_flags("--stages=pretrain_retriever+end_to_end,epochs_per_stage=4,--patience=0,seed=9")
    config: Any = run_config("ur4rec", file=file, overlays=[("`--params`", flags)])
    assert config.stages.run == ["pretrain_retriever", "end_to_end"]
    assert {getattr(config.stages, stage).epochs for stage in STAGES} == {4}
    assert (config.stages.end_to_end.patience, config.stages.joint_finetune.alternate, config.seed) == (
        0,
        "adaptive",
        9,
    )
    for wrong, message in (
        ("patience", "without `=`"),
        ("epoch=1", "`--params`.*epochs_per_stage|Unknown name"),
        ("data_dir=x", "tfrec.convert"),
        ("patience=few", "no whole number"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse_stage_flags(wrong)


def test_flags_override_files_and_nothing_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("stages: {run: [pretrain_sasrec, end_to_end], end_to_end: {epochs: 7, patience: 3}}")
    config = run_config("ur4rec", file=file, assignments=["stages.end_to_end.epochs=2"])
    assert config.stages.run == ["pretrain_sasrec", "end_to_end"]  # type: ignore[attr-defined]
    assert (config.stages.end_to_end.epochs, config.stages.end_to_end.patience) == (2, 3)  # type: ignore[attr-defined]
    for wrong in ("training.epochs=3", "stages.joint.epochs=1", "stages.run=[pretrain]", "stages.end_to_end.epoch=1"):
        with pytest.raises(ConfigError):
            run_config("ur4rec", assignments=[wrong])
    with pytest.raises(ConfigError, match="goes with mode `weighted`"):
        run_config("ur4rec", assignments=["model.fusion.sasrec_weight=0"])  # the default finds the weights itself
    with pytest.raises(ConfigError, match="not trained in stages"):
        run_config("ur4rec", assignments=["objective.weight_feature=kind", "objective.weights={click: 2}"])
    with pytest.raises(ConfigError, match="named twice"):
        run_config("ur4rec", assignments=["stages.run=[end_to_end, end_to_end]"])
