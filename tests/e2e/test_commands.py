"""The walk-through of the README: Parquet, convert, train, evaluate, recommend, each as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tfrec.data.synthetic import generate_clickstream

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def tfrec(command: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    module = f"tfrec.{command}" if command else "tfrec"
    result = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert result.returncode == code, result.stderr
    return result


SMALL = [
    "--set=model.layers=[16]",
    "--set=training.epochs=2",
    "--set=objective.num_negatives=32",
    "--set=training.batch_size=16",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    pq.write_table(generate_clickstream(num_sessions=800, num_items=80, num_categories=8), folder / "clicks.parquet")
    tfrec(
        "convert",
        "--input",
        folder / "clicks.parquet",
        *("--session-col", "session_id", "--item-col", "item_id", "--time-col", "timestamp"),
        *("--valid-days", "1", "--output", folder / "DS"),
    )
    result = tfrec("train", "--model", "gru4rec", "--data", folder / "DS", "--output", folder / "RUN", "--json", *SMALL)
    document = json.loads(result.stdout)
    assert document == {"output": str(folder / "RUN"), **json.loads((folder / "RUN" / "metrics.json").read_text())}
    for line in ("Epoch 2/2", "mb/s", "e/s", "gru4rec", "item_knn", "chance"):
        assert line in result.stderr
    return folder / "RUN"


def test_evaluating_again_gives_the_same_numbers(run: Path) -> None:
    trained = json.loads((run / "metrics.json").read_text())["test"]
    again = json.loads(tfrec("evaluate", "--run", run, "--json", "--no-baselines").stdout)["metrics"]
    del trained["seconds"], again["seconds"]
    assert again == pytest.approx(trained)
    other = json.loads(tfrec("evaluate", "--run", run, "--split", "valid", "--cutoffs", "3", "--json").stdout)
    assert set(other["baselines"]) == {"popularity", "session_popularity", "markov", "item_knn"}
    assert "recall@3" in other["metrics"]
    assert other["metrics"]["num_targets"] != trained["num_targets"]


def test_recommendations_are_the_best_scored_known_items(run: Path) -> None:
    table = tfrec("recommend", "--run", run, "--items", "3,999999,7", "-k", 5, "--json")
    document = json.loads(table.stdout)
    assert document["unknown"] == ["999999"]
    items = [entry["item"] for entry in document["recommendations"]]
    scores = [entry["score"] for entry in document["recommendations"]]
    assert len(set(items)) == 5
    assert all(1 <= item <= 80 for item in items)
    assert scores == sorted(scores, reverse=True)
    assert {3, 7}.isdisjoint(items)
    everything = json.loads(
        tfrec("recommend", "--run", run, "--items", "3,7", "-k", 80, "--include-seen", "--json").stdout
    )["recommendations"]
    assert {3, 7} < {entry["item"] for entry in everything}


def test_overview_lists_commands_and_models() -> None:
    out = tfrec("").stdout
    for name in ("convert", "train", "evaluate", "recommend", "gru4rec", "popularity", "item_knn"):
        assert name in out


def test_dry_run_writes_nothing(run: Path, tmp_path: Path) -> None:
    result = tfrec("train", "--model", "gru4rec", "--data", run.parent / "DS", "--output", tmp_path / "X", "--dry-run")
    assert "effective configuration" in result.stdout.lower()
    assert not (tmp_path / "X").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "fragment"),
    [
        (["train", "--model", "gru4rex"], 2, "Did you mean `gru4rec`?"),
        (["train", "--model", "gru4rec", "--data", "nowhere"], 3, "nowhere"),
        (["train", "--model", "gru4rec", "--set", "training.epoch=1"], 2, "Did you mean `epochs`?"),
        (["train"], 2, "--model"),
        (["train", "--model", "markov", "--params", "layers=10"], 2, "`ur4rec`, not for `markov`"),
        (["evaluate", "--run", "nowhere"], 3, "nowhere"),
        (["recommend", "--run", "nowhere", "--items", "1"], 3, "nowhere"),
        (["convert", "--input", "nothing.parquet", "--output", "DS"], 3, "nothing.parquet"),
    ],
)
def test_errors_are_one_line_with_a_remedy(arguments: list[str], code: int, fragment: str, tmp_path: Path) -> None:
    command, *rest = arguments
    result = tfrec(command, *rest, code=code)
    assert fragment in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
