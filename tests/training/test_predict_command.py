"""`python -m tfrec.predict`: from files to a submission in one command, and what it refuses before it works long."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfrec.command import run_command
from tfrec.predict import main

SCHEMA = """\
label: clicked
id: ID
categorical: [hour]
numeric: [price]
sequence: [{name: seq, max_length: 4}]
"""
Call = Callable[..., int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predict")
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "ID": [f"T{row}" for row in range(300)],
            "clicked": (random.random(300) < 0.3).astype(int),
            "hour": [f"{hour:02d}" for hour in random.integers(0, 24, 300)],
            "price": random.random(300),
            "seq": [",".join(map(str, random.integers(1, 9, 3))) for _ in range(300)],
        }
    )
    frame.to_parquet(path / "train.parquet", index=False)
    frame.drop(columns="clicked").head(50).to_parquet(path / "test.parquet", index=False)
    ids = random.permutation(frame["ID"].head(50))
    pd.DataFrame({"ID": ids, "clicked": 0}).to_csv(path / "sample.csv", index=False)
    (path / "schema.yaml").write_text(SCHEMA)
    return path


@pytest.fixture(scope="module")
def call(folder: Path) -> Call:
    def call(run: str, output: str, *flags: str, test: str = "test.parquet", train: bool = True) -> int:
        arguments = ["--run", folder / run, "--input", folder / test, "--output", folder / output, *flags]
        if train:
            arguments += ["--train", folder / "train.parquet", "--impressions", folder / "schema.yaml"]
            settings = ["training.epochs=1", "training.patience=0", "evaluation.bootstrap=0"]
            arguments += ["--model", "prior", *(part for one in settings for part in ("--set", one))]
        return run_command(main, [str(argument) for argument in arguments])

    return call


def test_from_files_to_a_submission(folder: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "a.csv", "--sample", str(folder / "sample.csv")) == 0
    written = pd.read_csv(folder / "a.csv")
    assert written["ID"].tolist() == pd.read_csv(folder / "sample.csv")["ID"].tolist()
    np.testing.assert_allclose(written["clicked"], 0.3, atol=0.1)  # the click rate
    made = (folder / "run" / "metrics.json").stat().st_mtime_ns
    said = " ".join(capsys.readouterr().out.split())
    clicks = json.loads((folder / "run" / "evaluation.json").read_text())["clicks"]
    assert f"30 rows of test, {clicks} clicks" in said
    assert said.count(f"The split `test` has {clicks} clicks in 30 rows") == 2  # where measured, and beside the output
    assert call("run", "b.csv") == 2  # the run that is there is not replaced
    assert "--resume" in capsys.readouterr().err
    assert call("run", "b.csv", "--resume") == 0  # it predicts
    assert (folder / "run" / "metrics.json").stat().st_mtime_ns == made
    assert sorted(pd.read_csv(folder / "b.csv")["ID"]) == sorted(written["ID"])


def test_lists_with_another_separator_are_noticed(folder: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_parquet(folder / "test.parquet")
    frame.assign(seq=frame["seq"].str.replace(",", "^")).to_parquet(folder / "other.parquet", index=False)
    assert call("run", "c.csv", "--resume") == 0
    capsys.readouterr()
    assert call("run", "d.csv", "--json", test="other.parquet", train=False) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["unknown"] == {"hour": 0.0, "seq": 1.0}
    assert "100% of `seq` are unknown" in found.err


@pytest.mark.parametrize("problem", ["column", "type", "sample", "output", "id", "id-col"])
def test_nothing_is_trained_for_what_cannot_be_predicted(
    folder: Path, call: Call, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_parquet(folder / "test.parquet")
    frame = frame.drop(columns="hour") if problem == "column" else frame
    frame = frame.assign(price="high") if problem == "type" else frame
    frame = frame.assign(ID="T1") if problem == "id" else frame
    frame.to_parquet(folder / "odd.parquet", index=False)
    given = {"sample": ["--sample", str(folder / "short.csv")], "id-col": ["--id-col", "hour"]}
    flags = given.get(problem, [])
    pd.DataFrame({"ID": ["T1"], "clicked": 0}).to_csv(folder / "short.csv", index=False)
    output = "no/such/directory.csv" if problem == "output" else "e.csv"
    code = call(f"never-{problem}", output, *flags, test="odd.parquet")
    assert code == (2 if problem == "output" else 3)
    words = {
        "column": "column `hour`",
        "type": "column `price`: Not a number: `high`",
        "sample": "The sample has 1 rows, the input 50",
        "output": "does not exist",
        "id": "column `ID`, row 2: The id `T1` names a second row",
        "id-col": "names a second row",
    }
    assert words[problem] in " ".join(capsys.readouterr().err.split())
    assert not (folder / f"never-{problem}").exists()


def test_a_column_that_a_pattern_gives_two_roles_is_refused(folder: Path, call: Call) -> None:
    (folder / "schema.yaml").write_text(SCHEMA.replace("[price]", '["*"]'))
    try:
        assert call("never-pattern", "f.csv") == 3
    finally:
        (folder / "schema.yaml").write_text(SCHEMA)
