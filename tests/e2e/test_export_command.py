"""`python -m tfrec.export` as a user calls it: publish, be killed, publish again, roll back, check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.planted_shop import planted_shop
from tests.harness.run_forked import run_forked
from tests.harness.tiny_run import tiny_run
from tfrec import export
from tfrec.command import run_command

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tfrec.export", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.mark.one_stack
def test_the_life_of_a_version_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = planted_shop(tmp_path / "shop", "int64")
    tiny_run(tmp_path / "run", "markov", shop)
    models = tmp_path / "models"

    result = command("--run", tmp_path / "run", "--output", models, "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["path"], document["version"]) == (str(models / "1"), 1)
    assert document["verified"]["requests"] >= 18
    assert f"Published {models / '1'}" in result.stderr
    assert "in a process that has only TensorFlow: " in result.stderr

    change = ("--items-only", "--k", "5", "--no-verify")
    run_forked(("export", models / "2", *change, "--output", models))
    assert [name.endswith(".partial") for name in names(models)] == [True, False]
    assert run_command(export.main, [*change, "--output", str(models), "--keep", "3"]) == 0
    assert names(models) == ["1", "2"]
    assert json.loads((models / "2/assets.extra/export.json").read_text())["config"]["k"] == 5

    told = []
    for more in (["--dry-run"], []):
        capsys.readouterr()
        assert run_command(export.main, ["--output", str(models), "--rollback", "--json", *more]) == 0
        captured = capsys.readouterr()
        told.append(json.loads(captured.out))
    assert told == [{"dry_run": dry, "parked": 2, "newest": 1} for dry in (True, False)]
    assert names(models) == [".2.rolled-back", "1"]
    assert "Version 2 is parked, version 1 is the newest again." in captured.err

    check = ["--check", str(models / "1"), "--no-verify"]
    assert run_command(export.main, [*check, "--data", shop.path]) == 0
    other = planted_shop(tmp_path / "other", "int64", cold=5)
    assert run_command(export.main, [*check, "--data", other.path]) == 3
    assert "`item`: expected sequence of int64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Where are the versions?"),
        (["--output", "models"], "No run is given"),
        (["--output", "models", "--rollback", "--index", "ivf"], "`--index` does not go with `--rollback`"),
        (["--output", "models", "--rollback", "--keep", "1"], "`--keep` does not go with `--rollback`"),
        (["--output", "models", "--rollback", "--no-verify"], "`--no-verify` does not go with `--rollback`"),
        (["--check", "models/1", "--k", "3"], "`--k` does not go with `--check`"),
        (["--check", "models/1", "--version", "3"], "`--version` does not go with `--check`"),
    ],
)
def test_flags_that_do_not_go_together(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(export.main, arguments, prog="python -m tfrec.export") == 2
    assert words in capsys.readouterr().err
