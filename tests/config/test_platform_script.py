"""The script that the platform of the advertising challenge calls: which commands it runs, and where things go."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tfrec.config.load import configs_directory

STUB = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *"${FAILS:-nothing fails}"*) echo "it failed" >&2; exit 3;; esac
while [ $# -gt 0 ]; do
    if [ "$1" = --output ]; then mkdir -p "$2/tensorboard"; echo epoch > "$2/history.csv"; fi
    shift
done
echo '{"test": {}}'
"""


def call(folder: Path, **variables: str) -> list[str]:
    """Runs the script with a stand-in for Python, and returns the commands it was given."""
    stub, calls = folder / "python", folder / "calls"
    stub.write_text(STUB)
    stub.chmod(0o755)
    calls.write_text("")
    configs = configs_directory()
    assert configs is not None
    plain = {"PATH": os.environ["PATH"], "PYTHON": str(stub), "CALLS": str(calls), **variables}
    done = subprocess.run(["sh", str(configs / "tencentgr" / "run.sh")], env=plain, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return calls.read_text().splitlines()


def test_training_then_answers(tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("raw", "log", "events", "checkpoints", "cache", "answers")}
    for name in ("log", "checkpoints", "cache"):
        Path(places[name]).mkdir()
    found = call(
        tmp_path,
        TRAIN_DATA_PATH=places["raw"],
        TRAIN_LOG_PATH=places["log"],
        TRAIN_TF_EVENTS_PATH=places["events"],
        TRAIN_CKPT_PATH=places["checkpoints"],
        USER_CACHE_PATH=places["cache"],
        EVAL_DATA_PATH=places["raw"],
        EVAL_RESULT_PATH=places["answers"],
        PRESET="3_infonce.yaml",
    )
    run, data = f"{places['checkpoints']}/run", f"{places['cache']}/train"
    presets = configs_directory()
    assert found == [
        f"-m tfrec.tencentgr prepare --from {places['raw']} --output {data} --semantic-ids --test-from {places['raw']}",
        f"-m tfrec.train --config {presets}/tencentgr/3_infonce.yaml --data {data}/dataset --output {run} --json",
        f"-m tfrec.tencentgr infer --run {run} --from {data} --output {places['answers']} --test-from {places['raw']}",
    ]
    assert sorted(path.name for path in Path(places["log"]).iterdir()) == ["history.csv", "metrics.json"]
    assert Path(places["events"]).is_dir()


def test_nothing_is_answered_by_a_training_that_failed(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    places = {name: str(tmp_path) for name in ("TRAIN_DATA_PATH", "TRAIN_CKPT_PATH", "USER_CACHE_PATH")}
    with pytest.raises(RuntimeError, match="it failed"):
        call(tmp_path, **places, EVAL_DATA_PATH="x", EVAL_RESULT_PATH="y", FAILS="-m tfrec.train ")
    [command] = (tmp_path / "calls").read_text().splitlines()
    assert command.startswith("-m tfrec.train ")


def test_test_users_that_were_prepared_are_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "predict.parquet").write_text("")
    [command] = call(
        tmp_path,
        USER_CACHE_PATH=str(tmp_path),
        EVAL_DATA_PATH="x",
        EVAL_RESULT_PATH=str(tmp_path / "answers"),
        MODEL_OUTPUT_PATH="/models/run",
    )
    assert command == f"-m tfrec.tencentgr infer --run /models/run --from {tmp_path}/train --output {tmp_path}/answers"


def test_answers_alone_and_missing_variables(tmp_path: Path) -> None:
    variables = {"USER_CACHE_PATH": str(tmp_path), "EVAL_DATA_PATH": "x", "EVAL_RESULT_PATH": str(tmp_path / "a")}
    [command] = call(tmp_path, MODEL_OUTPUT_PATH="/models/run", **variables)
    assert command.startswith("-m tfrec.tencentgr infer --run /models/run ")
    (tmp_path / "copied" / "run").mkdir(parents=True)  # a copy of what training left in TRAIN_CKPT_PATH
    [command] = call(tmp_path, MODEL_OUTPUT_PATH=str(tmp_path / "copied"), **variables)
    assert command.startswith(f"-m tfrec.tencentgr infer --run {tmp_path}/copied/run ")
    with pytest.raises(RuntimeError, match="set MODEL_OUTPUT_PATH or TRAIN_CKPT_PATH"):
        call(tmp_path, **variables)
    with pytest.raises(RuntimeError, match="set USER_CACHE_PATH"):
        call(tmp_path)


def test_what_was_interrupted_goes_on_where_that_is_wished(tmp_path: Path) -> None:
    variables = {name: str(tmp_path) for name in ("TRAIN_DATA_PATH", "TRAIN_CKPT_PATH", "USER_CACHE_PATH")}
    for wish, resumed in (({"TRAIN_RESUME": "1"}, [True, True]), ({}, [False, False])):
        shutil.rmtree(tmp_path / "train", ignore_errors=True)
        assert ["--resume" in command.split() for command in call(tmp_path, **variables, **wish)] == resumed
