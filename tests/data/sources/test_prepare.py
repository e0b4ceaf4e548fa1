"""Preparation: missing and damaged files, what is left behind, streams and exit codes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tfrec import datasets
from tfrec.command import run_command
from tfrec.data.sources.prepare import prepare
from tfrec.data.sources.registry import public_dataset
from tfrec.errors import ConfigError, DataError

HEADER = "timestamp,visitorid,event,itemid,transactionid\n"
EVENTS = HEADER + "1000,1,view,5,\n2000,1,addtocart,6,\n3000,2,view,7,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.csv").write_text(EVENTS)
    return tmp_path


def failure(folder: Path, name: str = "retailrocket", **options: object) -> DataError:
    """Prepares, expects a DataError, and checks that nothing was left behind."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError) as caught:
        prepare(public_dataset(name), folder, folder / "X.parquet", **options)
    assert sorted(folder.rglob("*")) == before
    assert caught.value.remedy
    return caught.value


def run(*arguments: object) -> int:
    return run_command(datasets.main, [str(argument) for argument in arguments], prog="python -m tfrec.datasets")


def test_tidy_columns(folder):
    summary = prepare(public_dataset("retailrocket"), folder, folder / "X.parquet")
    table = pq.read_table(folder / "X.parquet")
    assert table.to_pydict() == {"user_id": [1, 2], "item_id": [5, 7], "timestamp": [1000, 3000]}
    assert [str(kind) for kind in table.schema.types] == ["int64"] * 3
    assert (summary.rows, summary.distinct, summary.first_time, summary.last_time) == (
        2,
        {"user_id": 2, "item_id": 2},
        1000,
        3000,
    )
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_missing_file_is_named_with_its_owner(tmp_path):
    error = failure(tmp_path)
    assert str(error).startswith(f"`{tmp_path}`: The file `events.csv` of the data set `retailrocket` is missing.")
    assert "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset" in error.remedy


def test_another_file_that_will_do_is_named(tmp_path):
    error = failure(tmp_path, "tianchi")
    assert "The file `tianchi_mobile_recommend_train_user.csv`" in str(error)
    assert error.remedy.endswith("Instead of it also sample_user_behavior.csv will do.")
    assert "Instead" not in failure(tmp_path).remedy


def test_users_with_few_events_are_counted(tmp_path, capsys):
    """30 users of 20 events and one of 19, who is not in the data set."""
    header = "user_id,item_id,behavior_type,user_geohash,item_category,time"
    rows = [
        f"{user},{100 + event},1,,7,2014-12-01 {event % 24:02d}"
        for user in range(31)
        for event in range(20 - user // 30)
    ]
    (tmp_path / "sample_user_behavior.csv").write_text("\n".join([header, *rows]) + "\n")
    assert run("get", "tianchi", "--from", tmp_path, "--dataset", tmp_path / "DS") == 0
    out = capsys.readouterr().out
    assert "19 events dropped, with them 1 users" in out
    assert "sequences with fewer than 20 events (--min-seq-len)" in out


def test_one_of_two_files_is_missing(tmp_path):
    (tmp_path / "2019-Oct.csv").write_text("")
    assert "`2019-Nov.csv`" in str(failure(tmp_path, "rees46"))


def test_a_missing_file_in_a_folder_below(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "events.csv").write_text(EVENTS)
    assert f"`{tmp_path}/archive`: pass that with --from." in failure(tmp_path).remedy


def test_no_such_directory(tmp_path):
    with pytest.raises(DataError, match=r"none.*No such directory.*Put events\.csv there"):
        prepare(public_dataset("retailrocket"), tmp_path / "none", tmp_path / "X.parquet")


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("", ["`events.csv`", "empty"]),
        ("timestamp,visitor,event,itemid\n", ["no column `visitorid`", "Did you mean `visitor`?"]),
        (HEADER, ["No rows are left"]),
        (HEADER + "1000,1,addtocart,5,\n", ["No rows are left"]),
        (EVENTS + "4000,x7,view,5,\n", ["column `visitorid`", "row 4", "`x7` is not a BIGINT"]),
        (EVENTS + "4000,1,view\n", ["row 4", "does not fit the published format"]),
        (EVENTS + "4000,1,view,,\n", ["column `itemid`", "row 4", "missing (1 such rows"]),
    ],
)
def test_damaged_files_are_named_with_column_and_row(folder, content, fragments):
    (folder / "events.csv").write_text(content)
    message = str(failure(folder)).replace(f"{folder}/", "")
    for fragment in fragments:
        assert fragment in message


def test_the_second_of_two_files_is_named(tmp_path):
    (tmp_path / "yoochoose-clicks.dat").write_text("1,2014-04-07T10:51:09.277Z,5,0\n")
    (tmp_path / "yoochoose-test.dat").write_text("1,2014-04-07T10:51:09.277Z,5,0\n2,noon,5,0\n")
    message = str(failure(tmp_path, "yoochoose"))
    assert message.startswith(f"`{tmp_path}/yoochoose-test.dat`, column `time`, row 2: The value `noon`")


def test_a_missing_item_matters_only_in_rows_that_are_kept(folder):
    (folder / "events.csv").write_text(EVENTS + "4000,1,transaction,,9\n")
    assert prepare(public_dataset("retailrocket"), folder, folder / "X.parquet").rows == 2


def test_header_order_is_free_and_gzip_is_read(tmp_path):
    text = "extra,itemid,event,visitorid,timestamp\nz,5,view,1,1000\n"
    (tmp_path / "events.csv.gz").write_bytes(gzip.compress(text.encode()))
    prepare(public_dataset("retailrocket"), tmp_path, tmp_path / "X.parquet")
    assert pq.read_table(tmp_path / "X.parquet").to_pydict() == {"user_id": [1], "item_id": [5], "timestamp": [1000]}


def test_rows_that_differ_only_in_further_columns_have_one_order(tmp_path):
    header = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    rows = [f"2019-10-01 00:00:00 UTC,view,1,2,,brand,{price},3,s\n" for price in (3.5, 1.5, 2.5)]
    (tmp_path / "2019-Oct.csv").write_text(header + "".join(rows))
    (tmp_path / "2019-Nov.csv").write_text(header)
    prepare(public_dataset("rees46"), tmp_path, tmp_path / "X.parquet")
    assert pq.read_table(tmp_path / "X.parquet")["price"].to_pylist() == [1.5, 2.5, 3.5]


def test_an_existing_output_is_kept_unless_overwritten(folder):
    output = folder / "X.parquet"
    output.write_text("mine")
    assert "--overwrite" in failure(folder).remedy
    assert output.read_text() == "mine"
    assert prepare(public_dataset("retailrocket"), folder, output, overwrite=True).rows == 2
    (folder / "events.csv").write_text(HEADER)
    failure(folder, overwrite=True)
    assert pq.read_table(output).num_rows == 2


def test_dry_run_reads_everything_and_writes_nothing(folder):
    before = sorted(folder.iterdir())
    assert prepare(public_dataset("retailrocket"), folder, folder / "X.parquet", dry_run=True).rows == 2
    assert sorted(folder.iterdir()) == before
    (folder / "events.csv").write_text(EVENTS + "oops\n")
    failure(folder, dry_run=True)


def test_bad_memory_limit(folder):
    with pytest.raises(ConfigError, match=r"--memory-limit.*lots"):
        prepare(public_dataset("retailrocket"), folder, folder / "X.parquet", memory_limit="lots")


def test_get_prints_the_command_that_splits(folder, capsys):
    assert run("get", "retailrocket", "--from", folder, "--output", folder / "X.parquet") == 0
    out = capsys.readouterr().out
    assert (
        f"python -m tfrec.convert --input {folder}/X.parquet --split session_time --user-col user_id "
        "--session-gap 3600 --drop-consecutive-duplicates --min-item-count 5 --split-time 1442545200000 --time-unit ms "
        "--test-days 7 --output DATASET" in out
    )
    assert "CC BY-NC-SA 4.0" in out


def test_get_with_json(folder, capsys):
    assert run("get", "retailrocket", "--from", folder, "--output", folder / "X.parquet", "--json", "--dry-run") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["events"]["rows"] == 2
    assert document["dry_run"] is True
    assert document["convert"].startswith("python -m tfrec.convert --input")
    assert not (folder / "X.parquet").exists()


def test_files_are_looked_for_under_tfrec_data(folder, monkeypatch, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "retailrocket").mkdir()
    (folder / "events.csv").rename(tmp_path / "root" / "retailrocket" / "events.csv")
    monkeypatch.setenv("TFREC_DATA", str(tmp_path / "root"))
    assert run("get", "retailrocket", "--output", tmp_path / "X.parquet") == 0
    assert pq.read_table(tmp_path / "X.parquet").num_rows == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["get"], 2, "needs the name"),
        (["get", "retailroket", "--output", "X"], 2, "Did you mean `retailrocket`?"),
        (["get", "retailrocket"], 2, "--dataset"),
        (["get", "retailrocket", "--output", "X"], 2, "`--from` is missing"),
        (["get", "toss", "--from", ".", "--dataset", "X"], 2, "no recipe for `toss`"),
        (["get", "rsc15", "--from", ".", "--output", "X", "--follow-scripts"], 2, "--follow-scripts"),
        (["list", "rsc15"], 2, "takes no name"),
        (["fetch", "rsc15"], 2, "fetch"),
        (["get", "rsc15", "--from", ".", "--output", "nowhere/X"], 3, "`nowhere`: No such directory."),
    ],
)
def test_wrong_flags(arguments, code, words, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("TFREC_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == code
    assert words in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_an_existing_dataset_is_refused_before_any_work(folder, capsys):
    (folder / "DS").mkdir()
    (folder / "events.csv").write_text("not read")
    assert run("get", "retailrocket", "--from", folder, "--dataset", folder / "DS") == 3
    assert "The output directory exists" in capsys.readouterr().err
