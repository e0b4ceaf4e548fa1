"""The command: flags, output streams and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.command import run_command
from tfrec.convert import main
from tfrec.data.dataset import InteractionDataset


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "log.parquet"
    day = 86_400
    rows = [(n, item, n * day // 4 + item) for n in range(40) for item in (5, 6, 7)]
    session, item, time = zip(*rows, strict=True)
    pq.write_table(pa.table({"session_id": session, "item_id": item, "timestamp": time}), path)
    return path


def run(*arguments: object) -> int:
    return run_command(main, [str(argument) for argument in arguments], prog="python -m tfrec.convert")


def test_convert_prints_statistics(log, tmp_path, capsys):
    assert run("--input", log, "--output", tmp_path / "DS", "--test-days", 2, "--audit") == 0
    out, err = capsys.readouterr()
    assert "120 events read" in out
    assert "session_time" in out
    assert "test begins at" in out
    assert "Audit: what connects the splits" in out
    assert "events earlier than the latest training" in " ".join(out.split())
    assert "writing" in err
    assert InteractionDataset.open(tmp_path / "DS").splits == ["train", "test"]


def test_history_is_not_counted_twice(tmp_path, capsys, monkeypatch):
    """Two users with four events each: 8 events, of which 2 are valid and 2 test, stored with 3 and 4 per user."""
    monkeypatch.setenv("COLUMNS", "200")
    rows = [(user, item, user * 1000 + item) for user in (1, 2) for item in (1, 2, 3, 4)]
    user, item, time = zip(*rows, strict=True)
    pq.write_table(pa.table({"user_id": user, "item_id": item, "timestamp": time}), tmp_path / "log.parquet")
    options = ["--split", "leave_one_out", "--unknown-items", "keep", "--output", tmp_path / "DS"]
    assert run("--input", tmp_path / "log.parquet", *options) == 0
    out, err = capsys.readouterr()
    cells = {line.split("  ")[0].strip(): line.split()[-4:] for line in out.splitlines() if "  " in line}
    assert "8 events read, 8 of them in the dataset" in out
    assert cells["events"] == ["8", "4", "2", "2"]
    assert cells["with history"][-3:] == ["4", "6", "8"]
    assert cells["untrained items"][-1] == "2"
    assert "Warning: The times in column `timestamp`, read in s, begin on 1970-01-01" in err


def test_a_dataset_is_no_input(log, tmp_path, capsys):
    assert run("--input", log, "--output", tmp_path / "DS") == 0
    capsys.readouterr()
    assert run("--input", tmp_path / "DS", "--output", tmp_path / "again") == 3
    assert "This is a dataset that `tfrec.convert` wrote, not a log" in capsys.readouterr().err


def test_items_from_the_command_line(log, tmp_path, capsys):
    (tmp_path / "items.csv").write_text(
        "id;colour;tags;price;name\n5;red;a,b;1.5;Five\n6;blue;;;Six\n7;red;b;2;Seven\n"
    )
    code = run(
        *("--input", log, "--output", tmp_path / "DS", "--items", tmp_path / "items.csv", "--items-id-col", "id"),
        *("--item-features", "colour,tags:list,price:number", "--item-list-separator", ","),
        *("--item-title-col", "name"),
    )
    assert code == 0
    assert "Item features: colour (category), tags (list), price (number)." in capsys.readouterr().out
    features = InteractionDataset.open(tmp_path / "DS").item_features()
    assert set(features.titles[2:]) == {"Five", "Six", "Seven"}
    assert features.vocabulary_sizes == {"colour": 4, "tags": 4}


def test_json_is_one_document_with_the_manifest(log, tmp_path, capsys):
    assert run("--input", log, "--output", tmp_path / "DS", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["manifest"] == json.loads((tmp_path / "DS" / "manifest.json").read_text())
    assert document["dry_run"] is False
    assert "1970" in document["warnings"][0]


def test_dry_run(log, tmp_path, capsys):
    assert run("--input", log, "--output", tmp_path / "DS", "--dry-run") == 0
    assert "Nothing was written" in capsys.readouterr().out
    assert not list(tmp_path.glob("DS*"))


def test_bad_data_is_one_line_and_code_3(log, tmp_path, capsys):
    assert run("--input", log, "--output", tmp_path / "DS", "--item-col", "item") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err
    assert "Did you mean `item_id`?" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "by_moon"], "--split"),
        (["--time-unit", "fortnight"], "--time-unit"),
        (["--min-item-count", "0"], "--min-item-count"),
        (["--memory-limit", "lots"], "--memory-limit"),
        (["--compression", "zip"], "--compression"),
        (["--train", "x.csv"], "exclude each other"),
    ],
)
def test_bad_flags_are_code_2(log, tmp_path, capsys, arguments, words):
    assert run("--input", log, "--output", tmp_path / "DS", *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("DS*"))


IMPRESSIONS = "categorical: [item_id]\nlabel: session_id\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--event-features", "kind"], "`--event-features` is for sequences"),
        (["--cold-users", "keep"], "`--cold-users` is for sequences"),
        (["--user-features", "age"], "`--user-features` is for sequences"),
        (["--item-col", "item_id"], "`--item-col` is for sequences"),  # the default, but a mistake still
        (["--drop-consecutive-duplicates"], "`--drop-consecutive-duplicates` is for sequences"),
        (["--memory-limit", "1GB"], "`--memory-limit` is for sequences"),
        (["--beam-arg=--streaming"], "`--beam-arg` is for sequences"),
        (["--time-col", "timestamp"], "`--time-col` goes with `--split time`"),
        (["--valid-days", "1"], "`--valid-days` does not go with `--split random`"),
        (["--day-col", "item_id", "--test-fraction", "0.2"], "pass `--split random|tail|time`"),
    ],
)
def test_flags_that_impressions_do_not_have(log, tmp_path, capsys, arguments, words):
    (tmp_path / "roles.yaml").write_text(IMPRESSIONS)
    given = ["--impressions", tmp_path / "roles.yaml", "--input", log, "--output", tmp_path / "DS"]
    assert run(*given, *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "DS").exists()


def test_flags_that_impressions_have(log, tmp_path, capsys):
    (tmp_path / "roles.yaml").write_text(IMPRESSIONS)
    table = pq.read_table(log)
    clicks = pa.array([row % 2 for row in range(len(table))])
    pq.write_table(table.set_column(0, "session_id", clicks), log)
    given = ["--impressions", tmp_path / "roles.yaml", "--input", log, "--output", tmp_path / "DS"]
    by_time = ["--split", "time", "--time-col", "timestamp", "--valid-fraction", 0.2, "--test-fraction", 0.2]
    rest = ["--sample", 100, "--stratify", "session_id", "--shards", 1, "--compression", "gzip", "--seed", 3]
    assert run(*given, *by_time, *rest, "--format", "parquet", "--overwrite", "--json") == 0
    splits = json.loads(capsys.readouterr().out)["manifest"]["splits"]
    assert {split: part["rows"] for split, part in splits.items()} == {"train": 60, "valid": 20, "test": 20}


@pytest.mark.e2e
def test_real_yoochoose_files(real_data, tmp_path, capsys):
    folder = real_data / "yoochoose-100k"
    code = run(
        *("--train", folder / "yoochoose-clicks-100k_train_full.txt"),
        *("--test", folder / "yoochoose-clicks-100k_test.txt"),
        *("--session-col", "SessionId", "--item-col", "ItemId", "--time-col", "Time", "--output", tmp_path / "DS"),
    )
    assert code == 0
    dataset = InteractionDataset.open(tmp_path / "DS")
    # Counted with awk over the two files; no session has fewer than two events.
    assert dataset.num_events("train") == 70_278
    assert dataset.num_sequences("train") == 17_794
    assert dataset.num_events("test") == 13_568
    assert dataset.num_sequences("test") == 3_416
    arrays = dataset.load_ragged("train")
    folder_file = folder / "yoochoose-clicks-100k_train_full.txt"
    wanted = [line.split("\t") for line in folder_file.read_text().splitlines()[1:]]
    first = min(wanted, key=lambda row: float(row[2]))
    assert int(first[0]) == arrays.user_ids[0]
    assert int(first[1]) == dataset.item_vocabulary.raw(arrays.items[:1])[0]


@pytest.mark.e2e
def test_real_movielens_file(real_data, tmp_path, capsys):
    code = run(
        *("--input", real_data / "ml-100k" / "ml-100k.inter", "--user-col", "user_id", "--item-col", "item_id"),
        *("--min-item-count", 5, "--split", "leave_one_out", "--output", tmp_path / "DS", "--json"),
    )
    assert code == 0
    manifest = json.loads(capsys.readouterr().out)["manifest"]
    # MovieLens 100K: 100,000 ratings of 943 users; every user has at least 20.
    assert manifest["counts"]["events_read"] == 100_000
    lines = (real_data / "ml-100k" / "ml-100k.inter").read_text().splitlines()[1:]
    counts = Counter(line.split("\t")[1] for line in lines)
    assert manifest["counts"]["dropped_events"]["rare_items"] == sum(count for count in counts.values() if count < 5)
    assert manifest["counts"]["users"] == 943
    assert manifest["split"]["note"] == "leaks across users in time"


@pytest.mark.e2e
def test_ctrl_c_in_a_process_of_its_own(log, tmp_path):
    """SIGINT while a query runs: exit code 130, no output, and --resume ends the work."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in what a shell runs in the background
        "from tfrec.command import run_command\n"
        "from tfrec import convert\n"
        "from tfrec.data import shard_writer\n"
        "finish = shard_writer.ShardWriter._finish\n"
        "def interrupt(self, events):\n"
        "    finish(self, events)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "shard_writer.ShardWriter._finish = interrupt\n"
        "sys.exit(run_command(convert.main))\n"
    )
    arguments = ["--input", str(log), "--output", str(tmp_path / "DS"), "--shards", "3"]
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=dict(os.environ)
    )
    assert ended.returncode == 130, ended.stderr
    assert "Interrupted" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "DS").exists()
    assert run(*arguments, "--resume") == 0
    InteractionDataset.open(tmp_path / "DS").verify()
