"""The conversion on Beam gives the dataset of the local one: vocabulary, manifest, and every record in its order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("apache_beam", reason="Apache Beam is not installed", exc_type=ImportError)

from tfrec.data.beam import conversion, job_files
from tfrec.data.beam.bucket import Bucket
from tfrec.data.beam.dataset_conversion import convert_on_beam
from tfrec.data.beam.event_buckets import EventReader
from tfrec.data.beam.job_runner import Guarded, raise_task_errors
from tfrec.data.beam.log_pieces import open_sources
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions, parse_options
from tfrec.data.dataset import InteractionDataset
from tfrec.data.synthetic import generate_clickstream
from tfrec.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> pa.Table:
    """Some 1,000 events out of order, with users as text, times that tie, and a column of categories."""
    clicks = generate_clickstream(250, 120, 6, seed=3)
    rng = np.random.default_rng(0)
    users = pa.array([f"ü{number}" for number in rng.integers(0, 60, clicks.num_rows)])
    times = pa.array(np.round(clicks["timestamp"].to_numpy(), -3))
    clicks = clicks.set_column(2, "timestamp", times).append_column("user_id", users)
    return clicks.take(pa.array(rng.permutation(clicks.num_rows)))


@pytest.fixture(scope="module")
def files(log, tmp_path_factory) -> dict[str, str]:
    """The log as one file, and in three by time; and a table of items, some of them without events."""
    folder = tmp_path_factory.mktemp("logs")
    clicks = log.sort_by("timestamp")
    third = clicks.num_rows // 3
    parts = {"log": log, "train": clicks.slice(0, third), "valid": clicks.slice(third, third)}
    parts["test"] = clicks.slice(2 * third)
    parts["items"] = pa.table({"item_id": list(range(1, 131)), "colour": [f"c{n % 7}" for n in range(130)]})
    for name, table in parts.items():
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=300)
    return {name: str(folder / f"{name}.parquet") for name in parts}


CASES: dict[str, dict[str, Any]] = {
    "session_time": {"session_col": "session_id", "valid_days": 1, "min_item_count": 8},
    "leave_one_out": {
        "user_col": "user_id",
        "split": "leave_one_out",
        "unknown_items": "keep",
        "items": ["items"],
        "cold_items": "keep",
    },
    "global_time": {"user_col": "user_id", "split": "global_time", "shards": 3, "drop_consecutive_duplicates": True},
    "random_user": {
        "user_col": "user_id",
        "session_col": "session_id",
        "split": "random_user",
        "sequence_order": "id",
        "where": ["category>=1"],
    },
    "given": {"user_col": "user_id", "train": ["train"], "valid": ["valid"], "test": ["test"]},
    "session_gap": {
        "user_col": "user_id",
        "session_gap": 3600.0,
        "split": "session_time_last",
        "valid_days": 1,
        "min_item_count": 3,
        "filter_mode": "single_pass",
        "unknown_items": "oov",
    },
}


@pytest.mark.parametrize("name", CASES)
def test_equals_the_local_conversion(name, files, tmp_path):
    flags = {"input": ["log"]} | CASES[name] if "train" not in CASES[name] else dict(CASES[name])
    for key in ("input", "train", "valid", "test", "items"):
        if key in flags:
            flags[key] = [files[file] for file in flags[key]]
    local = convert(parse_options(output=str(tmp_path / "local"), **flags))
    options = parse_options(output=str(tmp_path / "beam"), runner="DirectRunner", **flags)
    beam = convert_on_beam(options, buckets=2)
    assert _facts(beam) == _facts(local)
    mine, theirs = (InteractionDataset.open(tmp_path / where) for where in ("beam", "local"))
    mine.verify()
    assert mine.item_vocabulary.content_hash == theirs.item_vocabulary.content_hash
    for split in theirs.splits:
        assert _records(mine, split) == _records(theirs, split)
    assert len(mine.shard_paths("train")) == flags.get("shards", 1)
    assert not (tmp_path / "beam.partial").exists()


def test_errors_are_those_of_the_local_conversion(log, tmp_path):
    items = log["item_id"].to_pylist()
    items[700] = items[900] = None
    damaged = log.set_column(1, "item_id", pa.array(items, pa.int64()))
    pq.write_table(damaged, tmp_path / "log.parquet", row_group_size=300)
    flags = {"input": [str(tmp_path / "log.parquet")], "session_col": "session_id", "output": str(tmp_path / "DS")}
    with pytest.raises(DataError) as local:
        convert(ConversionOptions(**flags))
    with pytest.raises(DataError, match="row 701") as beam:
        convert(ConversionOptions(**flags, runner="DirectRunner"))
    assert str(beam.value) == str(local.value)
    assert not (tmp_path / "DS").exists()


def _parts(log: pa.Table, folder: Path) -> tuple[str, ...]:
    """The log in three files, nulls in the last; before each an empty one."""
    items = log["item_id"].to_pylist()
    items[-10:] = [None] * 10
    log = log.set_column(1, "item_id", pa.array(items, pa.int64()))
    third = log.num_rows // 3
    folder.mkdir()
    for number, start in enumerate((0, third, 2 * third)):
        pq.write_table(log.slice(0, 0), folder / f"part-{2 * number}.parquet")
        part = log.slice(start, third if number < 2 else None)
        pq.write_table(part, folder / f"part-{2 * number + 1}.parquet", row_group_size=200)
    with pq.ParquetWriter(folder / "part-6.parquet", log.schema) as writer:
        writer.write_table(log.slice(0, 0))
        writer.write_table(log.slice(0, 5))
    assert pq.ParquetFile(folder / "part-0.parquet").num_row_groups == 1
    return (str(folder),)


def test_empty_row_groups_hide_nothing(log, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "open_sources", lambda files: _shuffled(*open_sources(files)))
    flags = {"input": _parts(log, tmp_path / "parts"), "session_col": "session_id"}
    with pytest.raises(DataError, match=r"null \(10 such rows") as local:
        convert(ConversionOptions(output=str(tmp_path / "DS"), **flags))
    with pytest.raises(DataError) as beam:
        convert(ConversionOptions(output=str(tmp_path / "DS"), **flags, runner="DirectRunner"))
    assert str(beam.value) == str(local.value)
    flags["where"] = ["item_id>=0"]  # which nulls do not satisfy
    expected, found = (
        convert(parse_options(output=str(tmp_path / (name or "local")), runner=name, **flags))
        for name in (None, "DirectRunner")
    )
    assert _facts(found) == _facts(expected)


def _shuffled(sources: Any, pieces: Any) -> tuple[Any, Any]:
    return sources, [pieces[place] for place in np.random.default_rng(1).permutation(len(pieces))]


def test_workers_that_leave_no_facts_are_noticed(files, tmp_path, monkeypatch):
    monkeypatch.setattr(job_files, "list_files", lambda directory: [])
    flags = {"input": [files["log"]], "session_col": "session_id", "output": str(tmp_path / "DS")}
    with pytest.raises(DataError, match=r"left facts on 0 of \d+ row groups"):
        convert(ConversionOptions(**flags, runner="DirectRunner"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"audit": True}, "--audit"),
        ({"resume": True}, "--resume"),
        ({"runner": "FlnkRunner"}, "Did you mean `FlinkRunner`"),
        ({"beam_args": ["--direct_nm_workers=2"]}, "Did you mean `--direct_num_workers`"),
        ({"format": "csv"}, "reads Parquet only"),
    ],
)
def test_what_cannot_be_done_is_refused(flags, message, files, tmp_path):
    given = {"input": [files["log"]], "session_col": "session_id", "output": str(tmp_path / "DS")}
    with pytest.raises(ConfigError, match=message):
        convert(ConversionOptions(**{"runner": "DirectRunner", **given, **flags}))
    assert not (tmp_path / "DS").exists()


def _fail(*_: Any) -> None:
    raise AssertionError("the work is done in this process")


@pytest.mark.slow
def test_two_worker_processes_give_the_records_of_the_local_conversion(files, tmp_path, monkeypatch):
    flags = {"input": [files["log"]], "user_col": "user_id", "split": "leave_one_out"}
    local = convert(parse_options(output=str(tmp_path / "local"), **flags))
    for kind in (EventReader, Bucket):  # worker processes import them anew
        monkeypatch.setattr(kind, "__call__" if kind is EventReader else "filter", _fail)
    arguments = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    options = parse_options(output=str(tmp_path / "beam"), runner="DirectRunner", beam_args=arguments, **flags)
    assert _facts(convert_on_beam(options, buckets=2)) == _facts(local)
    mine, theirs = (InteractionDataset.open(tmp_path / where) for where in ("beam", "local"))
    for split in theirs.splits:
        assert _records(mine, split) == _records(theirs, split)


def test_the_first_of_several_errors_is_raised_however_long_their_paths(tmp_path):
    folder = "/long" * 40

    def fail(place: tuple[str, int]) -> None:
        raise DataError("Bad.", file=f"{folder}/{place[0]}", column="t", row=place[1])

    guarded = Guarded(fail, str(tmp_path))
    for place in (("b", 1), ("a", 12), ("a", 7), ("a", 7), ("a", 100)):
        guarded(place)
    assert len(job_files.list_files(str(tmp_path / "errors"))) == 4
    with pytest.raises(DataError) as error:
        raise_task_errors(str(tmp_path))
    assert (error.value.file, error.value.row) == (f"{folder}/a", 7)


def _facts(manifest: Any) -> dict[str, Any]:
    """The manifest without the shards, whose cuts may differ."""
    document: dict[str, Any] = manifest.model_dump()
    for split in document["splits"].values():
        del split["shards"]
    return document


def _records(dataset: InteractionDataset, split: str) -> list[bytes]:
    return list(dataset.records(dataset.shard_paths(split)).as_numpy_iterator())
