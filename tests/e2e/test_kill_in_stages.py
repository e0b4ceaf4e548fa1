"""`kill -9` in every stage of UR4Rec and between them: the run that is resumed ends as the one that was let alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.harness.run_forked import run_forked
from tests.harness.text_shop import text_shop
from tfrec.config.stages_config import STAGES
from tfrec.training.model_store import load_run

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.one_stack]

SETTINGS = [
    *("model.sasrec={dim: 8, blocks: 1, max_length: 8}", "training.checkpoint_minutes=0", "training.batch_size=20"),
    "model.retriever={dim: 8, window: 4, proxies: 2, item_texts: texts, user_texts: profiles}",
    *("model.memory.interactions=3", "joint.num_negatives=16", "joint.targets_per_sequence=3"),
    *("sasrec_optimizer.learning_rate=0.01", "retriever_optimizer.learning_rate=0.01"),
    *(f"stages.{stage}={{epochs: 1, patience: 0}}" for stage in STAGES[:3]),
    "stages.end_to_end={epochs: 2, patience: 1}",
    *("evaluation.baselines=[]", "evaluation.parts=false", "evaluation.details=false"),
    "evaluation.bootstrap.samples=0",
]
WITHIN = "checkpoints/epoch-00000-block-000000002"
MOMENTS = [
    f"stages/pretrain_sasrec/{WITHIN}",
    f"stages/pretrain_retriever/{WITHIN}",
    "stages/pretrain_retriever/stage.json",  # it is trained, and nobody was told
    f"stages/joint_finetune/{WITHIN}",
    "stages/end_to_end/memory/state",  # the weights before the first step are kept, the memory's counters are not
    "stages/end_to_end/checkpoints/epoch-00001-block-000000000",  # an epoch is validated, its checkpoint is not there
    "memories.json",  # all stages are trained
]


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def test_killed_seven_times(tmp_path: Path) -> None:
    shop = Path(text_shop(tmp_path / "shop").path)
    runs = [tmp_path / "killed", tmp_path / "whole"]
    flags = ["--model", "ur4rec", "--data", shop, *(part for one in SETTINGS for part in ("--set", one))]
    first, *later = [f"*/{moment}" for moment in MOMENTS]
    into = [*flags, "--output", runs[0]]
    run_forked(
        ("train", first, *into),
        *(("train", moment, *into, "--resume") for moment in [*later, None]),
        ("train", None, *flags, "--output", runs[1]),
    )
    killed, whole = (load_run(run).model for run in runs)
    for one, other in zip(killed.weights, whole.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5, err_msg=one.path)
    rows = [history(run) for run in runs]
    assert [row["stage"] for row in rows[0]] == [row["stage"] for row in rows[1]]
    for row, other in zip(*rows, strict=True):
        np.testing.assert_allclose(_numbers(row), _numbers(other), rtol=1e-3)
    memories = [json.loads((run / "memories.json").read_text()) for run in runs]
    assert memories[0]["step"] == memories[1]["step"] > 0
    counted = [{user: _counters(entry) for user, entry in document["users"].items()} for document in memories]
    assert counted[0] == counted[1]


def _numbers(row: dict[str, str]) -> list[float]:
    return [float(value) if value else -1.0 for value in row.values()]


def _counters(entry: dict[str, Any]) -> list[int]:
    return [entry["interaction_count"], entry["last_update_step"], *entry["metadata"].values()]
