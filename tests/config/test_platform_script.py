"""The script that the platform of the advertising challenge calls: which commands it runs, and where things go."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from tfrec.config.load import configs_directory
from tfrec.tencentgr import main

STUB = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
*" prepare "*" --output $USER_CACHE_PATH/train "*)
    learned=$USER_CACHE_PATH/train/semantic_ids/tensorboard
    mkdir -p "$learned"; echo "$CALLS" > "$learned/events";;
*"-m tfrec.train "*)
    run=$TRAIN_CKPT_PATH/run
    mkdir -p "$run/tensorboard"; echo epoch > "$run/history.csv"; echo loss > "$run/tensorboard/events";;
esac
case "$*" in *"${FAILS:-nothing fails}"*) echo "it failed" >&2; exit 3;; esac
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


def training(folder: Path) -> dict[str, str]:
    """Makes a directory of files; returns the variables of a training on them."""
    (folder / "raw").mkdir()
    (folder / "raw" / "seq.jsonl").write_text("[1]\n")
    places = {"TRAIN_DATA_PATH": "raw", "TRAIN_CKPT_PATH": "checkpoints", "USER_CACHE_PATH": "cache"}
    return {name: str(folder / place) for name, place in places.items()}


def assert_refused(folder: Path, message: str, **variables: str) -> None:
    """Asserts that the script fails with the message and calls nothing."""
    with pytest.raises(RuntimeError, match=message):
        call(folder, **variables)
    assert not (folder / "calls").read_text()


def found_files(folder: str) -> list[str]:
    """Returns the files below a directory."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_training_then_answers(tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("raw", "log", "events", "checkpoints", "cache", "answers")}
    for name in ("raw", "log", "checkpoints", "cache"):
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
        f"-m tfrec.tencentgr prepare --from {places['raw']} --output {data} --semantic-ids --vectors 81"
        f" --test-from {places['raw']}",
        f"-m tfrec.train --config {presets}/tencentgr/3_infonce.yaml --data {data}/dataset --output {run} --json",
        f"-m tfrec.tencentgr infer --run {run} --from {data} --output {places['answers']} --test-from {places['raw']}",
    ]
    assert found_files(places["log"]) == ["history.csv", "metrics.json"]
    assert found_files(places["events"]) == ["events", "semantic_ids/events"]


def test_logs_of_a_training_that_failed_are_kept_and_nothing_is_answered(tmp_path: Path) -> None:
    variables = training(tmp_path) | {"EVAL_DATA_PATH": str(tmp_path / "raw"), "EVAL_RESULT_PATH": "y"}
    logs = {"TRAIN_LOG_PATH": str(tmp_path / "log"), "TRAIN_TF_EVENTS_PATH": str(tmp_path / "events")}
    with pytest.raises(RuntimeError, match="it failed"):
        call(tmp_path, **variables, **logs, FAILS="-m tfrec.train ")
    prepare, train = (tmp_path / "calls").read_text().splitlines()
    assert prepare.startswith("-m tfrec.tencentgr prepare ")
    assert train.startswith("-m tfrec.train ")
    assert found_files(logs["TRAIN_LOG_PATH"]) == ["history.csv"]  # there are no metrics
    assert found_files(logs["TRAIN_TF_EVENTS_PATH"]) == ["events", "semantic_ids/events"]


def test_a_cache_of_other_files_is_refused(tmp_path: Path) -> None:
    variables = training(tmp_path)
    first = call(tmp_path, **variables)
    shutil.rmtree(tmp_path / "checkpoints")
    assert call(tmp_path, **variables) == first[1:]  # the same files are not prepared again
    shutil.copytree(tmp_path / "raw", tmp_path / "other")
    moved = variables | {"TRAIN_DATA_PATH": str(tmp_path / "other")}
    assert_refused(tmp_path, "was made of other files", **moved, TRAIN_RESUME="1")
    (tmp_path / "raw" / "seq.jsonl").write_text("[5]\n")  # as many characters as before
    assert_refused(tmp_path, "was made of other files", **variables, TRAIN_RESUME="1")
    shutil.rmtree(tmp_path / "cache" / "train")
    assert len(call(tmp_path, **variables, TRAIN_RESUME="1")) == 2
    (tmp_path / "cache" / "train.made_of").unlink()
    assert_refused(tmp_path, "was made of other files", **variables, TRAIN_RESUME="1")


def test_other_vectors_are_prepared_and_do_not_take_an_earlier_cache(tmp_path: Path) -> None:
    variables = training(tmp_path) | {"TRAIN_RESUME": "1"}
    prepare, train = call(tmp_path, **variables, TRAIN_VECTORS="82,81", TRAIN_SET="model.dim=8")
    assert prepare.endswith("/cache/train --semantic-ids --vectors 82,81 --resume")
    assert train.endswith(' --json --set model.item_vectors=["82","81"] --set model.dim=8 --resume')
    assert len(call(tmp_path, **variables, TRAIN_VECTORS="82,81")) == 1
    assert_refused(tmp_path, "has vectors 82,81, not 81; set TRAIN_VECTORS=82,81, or", **variables)
    (tmp_path / "cache" / "train.vectors").unlink()  # a cache that is older than the variable
    assert len(call(tmp_path, **variables)) == 1
    assert_refused(tmp_path, "has vectors 81, not 82; set TRAIN_VECTORS=81, or", **variables, TRAIN_VECTORS="82")


def test_a_file_more_or_a_cache_among_the_files(tmp_path: Path) -> None:
    variables = training(tmp_path) | {"USER_CACHE_PATH": str(tmp_path / "raw"), "TRAIN_RESUME": "1"}
    assert len(call(tmp_path, **variables)) == 2
    assert len(call(tmp_path, **variables)) == 1
    more = tmp_path / "raw" / "creative_emb" / "emb of 81.pkl"
    more.parent.mkdir()
    more.write_text("")
    os.utime(more, (0, 0))
    assert_refused(tmp_path, "was made of other files", **variables)


def test_test_users_that_were_prepared_are_not_read_again(tmp_path: Path) -> None:
    variables = training(tmp_path)
    answering = {"EVAL_DATA_PATH": variables["TRAIN_DATA_PATH"], "EVAL_RESULT_PATH": str(tmp_path / "answers")}
    call(tmp_path, **variables)  # which finds test users beside those of training
    (tmp_path / "cache" / "train" / "predict.parquet").write_text("")
    del variables["TRAIN_DATA_PATH"]
    [command] = call(tmp_path, **variables, **answering)
    run, data = tmp_path / "checkpoints" / "run", tmp_path / "cache" / "train"
    assert command == f"-m tfrec.tencentgr infer --run {run} --from {data} --output {tmp_path}/answers"
    (tmp_path / "others").mkdir()
    [other] = call(tmp_path, **variables, **answering | {"EVAL_DATA_PATH": str(tmp_path / "others")})
    assert other == f"{command} --test-from {tmp_path}/others"


def test_answers_alone(tmp_path: Path) -> None:
    for name in ("train", "raw", "models/run", "copied/run/run"):
        (tmp_path / name).mkdir(parents=True)
    variables = {"USER_CACHE_PATH": str(tmp_path), "EVAL_DATA_PATH": str(tmp_path / "raw"), "EVAL_RESULT_PATH": "a"}
    [command] = call(tmp_path, MODEL_OUTPUT_PATH=f"{tmp_path}/models/run", **variables)
    assert command.startswith(f"-m tfrec.tencentgr infer --run {tmp_path}/models/run ")
    copied = str(tmp_path / "copied" / "run")  # a copy of what training left in TRAIN_CKPT_PATH
    [command] = call(tmp_path, MODEL_OUTPUT_PATH=copied, **variables)
    assert command.startswith(f"-m tfrec.tencentgr infer --run {copied}/run ")
    assert_refused(tmp_path, "set MODEL_OUTPUT_PATH or TRAIN_CKPT_PATH", **variables)
    assert_refused(tmp_path, "there is no run directory x", MODEL_OUTPUT_PATH="x", **variables)
    (tmp_path / "train").rmdir()
    assert_refused(tmp_path, "there are no data in", MODEL_OUTPUT_PATH=copied, **variables)


def test_mistakes_are_named_before_any_work(tmp_path: Path) -> None:
    variables = training(tmp_path)
    raw, nowhere = variables["TRAIN_DATA_PATH"], str(tmp_path / "nowhere")
    assert_refused(tmp_path, "set TRAIN_DATA_PATH to train, EVAL_DATA_PATH to answer", USER_CACHE_PATH=str(tmp_path))
    for name in ("USER_CACHE_PATH", "TRAIN_CKPT_PATH"):
        assert_refused(tmp_path, f"set {name}", **{key: value for key, value in variables.items() if key != name})
    assert_refused(tmp_path, f"TRAIN_DATA_PATH: there is no .*{nowhere}", **variables | {"TRAIN_DATA_PATH": nowhere})
    assert_refused(tmp_path, "set EVAL_RESULT_PATH", **variables, EVAL_DATA_PATH=raw)
    answering = variables | {"EVAL_DATA_PATH": raw, "EVAL_RESULT_PATH": str(tmp_path / "answers")}
    assert_refused(tmp_path, f"EVAL_DATA_PATH: there is no .*{nowhere}", **answering | {"EVAL_DATA_PATH": nowhere})
    assert_refused(tmp_path, f"there is no run directory {nowhere}", **answering, MODEL_OUTPUT_PATH=nowhere)
    assert_refused(tmp_path, "no file .*5_hst.yaml; .*1_sasrec_rqvae.yaml", **variables, PRESET="5_hst.yaml")
    for wrong in ("81,,82", ",81", "81 82", "image"):
        assert_refused(tmp_path, f"{wrong} is not a list of feature ids", **variables, TRAIN_VECTORS=wrong)
    assert_refused(tmp_path, "epochs is not of the form key=value", **variables, TRAIN_SET="epochs")
    call(tmp_path, **answering, MODEL_OUTPUT_PATH=variables["TRAIN_CKPT_PATH"])  # which training makes
    assert_refused(tmp_path, "run exists; set TRAIN_RESUME=1", **variables)


def test_settings_and_a_preset_from_elsewhere(tmp_path: Path) -> None:
    preset = tmp_path / "my preset.yaml"
    preset.write_text("")
    (tmp_path / "a=b").write_text("")
    variables = training(tmp_path) | {"PRESET": str(preset)}
    _, train = call(tmp_path, **variables, TRAIN_SET="  training.epochs=1 evaluation.cutoffs=[5,10]\n?=*")
    expected = "--set training.epochs=1 --set evaluation.cutoffs=[5,10] --set ?=*"
    assert train.startswith(f"-m tfrec.train --config {preset} --data ")
    assert train.endswith(f" --json {expected}")


def test_what_was_interrupted_goes_on_where_that_is_wished(tmp_path: Path) -> None:
    variables = training(tmp_path)
    for wish, resumed in (({"TRAIN_RESUME": "1"}, [True, True]), ({}, [False, False])):
        for made in ("cache", "checkpoints"):
            shutil.rmtree(tmp_path / made, ignore_errors=True)
        assert ["--resume" in command.split() for command in call(tmp_path, **variables, **wish)] == resumed


def test_help_lists_options_under_the_actions_they_belong_to() -> None:
    app = typer.Typer()
    app.command()(main)
    panels: dict[str | None, list[str]] = {}
    for parameter in typer.main.get_command(app).params:
        if parameter.param_type_name == "option":
            panels.setdefault(getattr(parameter, "rich_help_panel", None), []).append(parameter.opts[0])
    assert {panel: found for panel, found in panels.items() if panel} == {
        "generate": ["--users", "--test-users", "--items"],
        "generate and prepare": ["--seed"],
        "prepare and infer": ["--from", "--test-from"],
        "prepare": ["--vectors", "--semantic-ids", "--codes", "--set", "--resume"],
        "infer": ["--run", "--truth", "--only-cold"],
    }
