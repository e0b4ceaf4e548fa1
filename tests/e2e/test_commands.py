"""The walk-through of the README: Parquet, convert, train, evaluate, recommend, each as a user calls it.

Where the process is not what is tested, the command is called in this one: to import TensorFlow takes longer.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tfrec import convert
from tfrec.command import run_command
from tfrec.data.synthetic import generate_clickstream

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Here = Callable[..., Any]


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


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """Calls a command in this process; returns what it writes to `out` and `err`."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(command: str, *arguments: object, code: int = 0) -> Any:
        main = importlib.import_module(f"tfrec.{command}").main
        capsys.readouterr()
        found = run_command(main, [*map(str, arguments)], prog=f"python -m tfrec.{command}")
        written = capsys.readouterr()
        assert found == code, written.err
        return written

    return call


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
    columns = ("--session-col", "session_id", "--item-col", "item_id", "--time-col", "timestamp")
    files = ("--input", str(folder / "clicks.parquet"), "--output", str(folder / "DS"))
    assert run_command(convert.main, [*files, *columns, "--valid-days", "1"]) == 0
    result = tfrec("train", "--model", "gru4rec", "--data", folder / "DS", "--output", folder / "RUN", "--json", *SMALL)
    document = json.loads(result.stdout)
    assert document == {"output": str(folder / "RUN"), **json.loads((folder / "RUN" / "metrics.json").read_text())}
    for line in ("Epoch 2/2", "mb/s", "e/s", "gru4rec", "item_knn", "chance"):
        assert line in result.stderr
    return folder / "RUN"


def test_evaluating_again_gives_the_same_numbers(run: Path, here: Here) -> None:
    trained = json.loads((run / "metrics.json").read_text())["test"]
    again = json.loads(tfrec("evaluate", "--run", run, "--json", "--no-baselines").stdout)["metrics"]
    del trained["seconds"], again["seconds"]
    assert again == pytest.approx(trained)
    other = json.loads(here("evaluate", "--run", run, "--split", "valid", "--cutoffs", "3", "--json").out)
    assert set(other["baselines"]) == {"popularity", "session_popularity", "markov", "item_knn"}
    assert "recall@3" in other["metrics"]
    assert other["metrics"]["num_targets"] != trained["num_targets"]


def test_recommendations_are_the_best_scored_known_items(run: Path, here: Here) -> None:
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
        here("recommend", "--run", run, "--items", "3,7", "-k", 80, "--include-seen", "--json").out
    )["recommendations"]
    assert {3, 7} < {entry["item"] for entry in everything}


def test_overview_lists_commands_and_models() -> None:
    out = tfrec("").stdout
    for name in ("convert", "train", "evaluate", "recommend", "gru4rec", "popularity", "item_knn"):
        assert name in out


def test_dry_run_writes_nothing(run: Path, tmp_path: Path, here: Here) -> None:
    result = here("train", "--model", "gru4rec", "--data", run.parent / "DS", "--output", tmp_path / "X", "--dry-run")
    assert "effective configuration" in result.out.lower()
    assert not (tmp_path / "X").exists()


ERRORS = [
    (["train", "--model", "gru4rec", "--data", "nowhere"], 3, "nowhere"),
    (["train", "--model", "gru4rec", "--set", "training.epoch=1"], 2, "Did you mean `epochs`?"),
    (["evaluate", "--run", "nowhere"], 3, "nowhere"),
    (["recommend", "--run", "nowhere", "--items", "1"], 3, "nowhere"),
    (["convert", "--input", "nothing.parquet", "--output", "DS"], 3, "nothing.parquet"),
]


@pytest.mark.parametrize(("arguments", "code", "fragment"), ERRORS)
def test_errors_are_one_line_with_a_remedy(arguments: list[str], code: int, fragment: str, here: Here) -> None:
    command, *rest = arguments
    _check_error(here(command, *rest, code=code).err, fragment)


def test_nothing_but_the_error_is_said_in_a_process_of_its_own() -> None:
    """TensorFlow, which this command imports, has lines of its own for standard error."""
    [(command, *rest), code, fragment] = ERRORS[1]
    _check_error(tfrec(command, *rest, code=code).stderr, fragment)


MISTAKES = [
    (["--model", "gru4rex"], "Did you mean `gru4rec`?"),
    ([], "--model"),
    (["--model", "markov", "--params", "layers=10"], "`ur4rec`, not for `markov`"),
]


@pytest.mark.parametrize(("arguments", "fragment"), MISTAKES)
def test_mistakes_in_the_arguments_are_one_line_with_a_remedy(arguments: list[str], fragment: str, here: Here) -> None:
    _check_error(here("train", *arguments, code=2).err, fragment)


WITHOUT_TENSORFLOW = """
import json, sys
import tfrec
sys.modules["tensorflow"] = None  # to import it is an error
from tfrec import train
from tfrec.command import run_command
print([run_command(train.main, arguments) for arguments in json.loads(sys.argv[1])])
"""


def test_a_mistake_in_the_arguments_does_not_wait_for_tensorflow() -> None:
    arguments = json.dumps([words for words, _ in MISTAKES])
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == [2, 2, 2]
    for _, fragment in MISTAKES:
        assert fragment in result.stderr


def _check_error(said: str, fragment: str) -> None:
    assert fragment in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1
