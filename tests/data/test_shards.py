"""Shards: boundaries, the same bytes again, and what an interruption leaves."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data import partial_output
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.example_encoder import NumpyEncoder
from tfrec.data.shard_bounds import shard_bounds
from tfrec.errors import DataError


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    """About 3,000 string-id events of 600 sessions, in time order, with ties in time."""
    random = np.random.default_rng(5)
    session = np.repeat(np.arange(600), random.integers(2, 9, 600))
    time = np.sort(random.integers(0, 50_000, 600))[session] + random.integers(0, 50, len(session))
    order = np.argsort(time, kind="stable")
    table = pa.table(
        {
            "session_id": [f"s{n}" for n in session[order]],
            "item_id": [f"i{n}" for n in random.zipf(1.5, len(session)) % 50],
            "timestamp": time[order],
        }
    )
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    pq.write_table(table, path, row_group_size=500)
    return path


def options(log: Path, output: Path, **values: Any) -> ConversionOptions:
    defaults = {"split": "leave_one_out", "shards": 4, "min_item_count": 2}
    return ConversionOptions(output=str(output), input=[str(log)], **{**defaults, **values})


def contents(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_shard_bounds():
    assert shard_bounds(10, 3) == [0, 3, 6, 10]
    assert shard_bounds(2, 8) == [0, 1, 2]
    assert shard_bounds(50_000, None) == [0, 50_000]
    assert shard_bounds(50_001, None) == [0, 25_000, 50_001]
    assert len(shard_bounds(10**9, None)) == 65


def test_shards_are_contiguous_and_counted(convert_rows, examples):
    rows = [(n, item, 10 * n + item) for n in range(10) for item in range(2 + n % 2)]
    dataset = convert_rows(rows, shards=3)
    shards = dataset.manifest.splits["train"].shards
    assert [shard.path for shard in shards] == [f"train/part-0000{n}-of-00003.tfrecord" for n in range(3)]
    assert [shard.sequences for shard in shards] == [3, 3, 4]
    # Lengths are 2, 3, 2 | 3, 2, 3 | 2, 3, 2, 3.
    assert [shard.events for shard in shards] == [7, 8, 10]
    assert [example[0] for example in examples(dataset)] == list(range(10))


def test_the_same_bytes_twice_and_by_table(log, tmp_path):
    convert(options(log, tmp_path / "a"))
    convert(options(log, tmp_path / "b", memory_limit="500MB"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    table = pq.read_table(log)
    convert(options(log, tmp_path / "c").model_copy(update={"input": ()}), table=table)
    different = {name for name, digest in contents(tmp_path / "c").items() if digest != contents(tmp_path / "a")[name]}
    assert different == {"manifest.json"}  # it names the source


def test_gzip_is_reproducible_and_reads_the_same(log, tmp_path):
    convert(options(log, tmp_path / "plain"))
    convert(options(log, tmp_path / "a", compression="gzip"))
    convert(options(log, tmp_path / "b", compression="gzip"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    plain, packed = (InteractionDataset.open(tmp_path / name) for name in ("plain", "a"))
    assert packed.shard_paths("test")[0].endswith(".tfrecord.gz")
    assert plain.load_ragged("test").items.tolist() == packed.load_ragged("test").items.tolist()


def test_order_of_input_files_does_not_change_sequences(log, tmp_path, examples):
    # No two events of these halves share session and time, so only the order of ties could differ.
    table = pq.read_table(log)
    table = table.set_column(2, "timestamp", pa.array(range(table.num_rows)))
    for number, part in enumerate([table.slice(1000), table.slice(0, 1000)]):
        pq.write_table(part, tmp_path / f"part-{number}.parquet")
    pq.write_table(table, tmp_path / "whole.parquet")
    convert(options(tmp_path / "part-*.parquet", tmp_path / "a"))
    convert(options(tmp_path / "whole.parquet", tmp_path / "b"))
    a, b = (InteractionDataset.open(tmp_path / name) for name in "ab")
    assert examples(a, "test") == examples(b, "test")
    assert len(examples(a, "test")) > 100


def test_an_interruption_leaves_no_output_and_resumes_to_the_same_bytes(log, tmp_path):
    convert(options(log, tmp_path / "whole"))
    seen = []

    def interrupt(stage: str, done: int, total: int) -> None:
        seen.append(stage)
        if stage == "writing" and done >= 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(options(log, tmp_path / "DS"), progress=interrupt)
    assert not (tmp_path / "DS").exists()
    with pytest.raises(DataError, match="--resume"):
        InteractionDataset.open(tmp_path / "DS")
    convert(options(log, tmp_path / "DS", resume=True))
    assert contents(tmp_path / "DS") == contents(tmp_path / "whole")
    assert not (tmp_path / "DS.partial").exists()
    assert "reading" in seen


def test_resume_refuses_other_options_and_keeps_the_work(log, tmp_path):
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "splitting":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(options(log, tmp_path / "DS"), progress=interrupt)
    with pytest.raises(DataError, match="other input files or options"):
        convert(options(log, tmp_path / "DS", resume=True, seed=1))
    # Without --resume it starts afresh.
    convert(options(log, tmp_path / "DS", seed=1))
    assert InteractionDataset.open(tmp_path / "DS").manifest.seed == 1


KILLED = """
import os, signal, sys
from tfrec.data import work_database, shard_writer
from tfrec.data.conversion import ConversionOptions, convert

where, options = sys.argv[1], ConversionOptions.model_validate_json(sys.argv[2])

def die():
    os.kill(os.getpid(), signal.SIGKILL)

finish = shard_writer.ShardWriter._finish
finished = []
def finish_then_die(self, events):
    finish(self, events)
    finished.append(1)
    if len(finished) == 6:
        die()

def die_in_stage(stage, done, total):
    if stage == where:
        die()

if where == "shard":
    shard_writer.ShardWriter._finish = finish_then_die
convert(options, progress=die_in_stage)
"""


@pytest.mark.parametrize("where", ["splitting", "shard"])
def test_a_killed_conversion_resumes_to_the_same_bytes(log, tmp_path, where):
    convert(options(log, tmp_path / "whole"))
    wanted = options(log, tmp_path / "DS")
    killed = subprocess.run([sys.executable, "-c", KILLED, where, wanted.model_dump_json()], capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    assert not (tmp_path / "DS").exists()
    partial = tmp_path / "DS.partial"
    finished = {path.relative_to(partial): path.stat().st_mtime_ns for path in partial.glob("*/part-*.tfrecord")}
    # Killed after six shards: the four of train and two of valid.
    assert len(finished) == (6 if where == "shard" else 0)
    convert(options(log, tmp_path / "DS", resume=True))
    assert contents(tmp_path / "DS") == contents(tmp_path / "whole")
    # Finished shards were not written again.
    assert {path: (tmp_path / "DS" / path).stat().st_mtime_ns for path in finished} == finished


class SlowEncoder(NumpyEncoder):
    """An encoder that is another class."""


def test_resume_refuses_another_encoder(log, tmp_path):
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "writing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(options(log, tmp_path / "DS"), progress=interrupt)
    with pytest.raises(DataError, match="other input files or options"):
        convert(options(log, tmp_path / "DS", resume=True), encoder=SlowEncoder())
    # The default encoder by name is the same one.
    convert(options(log, tmp_path / "DS", resume=True), encoder=NumpyEncoder())


# The steps of the end: the work directory goes, the mark leaves the directory, the directory gets its name.
@pytest.mark.parametrize("last", ["work", "conversion.fingerprint", "DS.partial"])
def test_resume_finishes_what_only_lacked_its_name(log, tmp_path, monkeypatch, last):
    convert(options(log, tmp_path / "whole"))
    rename, rmtree = Path.rename, partial_output.shutil.rmtree

    def stop(path: Path) -> None:
        if Path(path).name == last and (tmp_path / "DS.partial" / "manifest.json").exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda self, target: (stop(self), rename(self, target))[1])
        patch.setattr(partial_output.shutil, "rmtree", lambda path, **flags: (rmtree(path, **flags), stop(path)))
        with pytest.raises(KeyboardInterrupt):
            convert(options(log, tmp_path / "DS"))
    assert not (tmp_path / "DS").exists()
    assert not list((tmp_path / "DS.partial" / "work").glob("work.duckdb"))
    with pytest.raises(DataError, match="other input files or options"):
        convert(options(log, tmp_path / "DS", resume=True, seed=1))
    convert(options(log, tmp_path / "DS", resume=True))
    assert contents(tmp_path / "DS") == contents(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["DS", "whole"]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "work/notes.txt", "manifest.json"])
def test_a_foreign_directory_of_the_partial_name_is_left_alone(log, tmp_path, name, resume):
    precious = tmp_path / "DS.partial" / name
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    for dry_run in (True, False):
        with pytest.raises(DataError, match=r"DS\.partial`: .* left alone.*Choose another --output"):
            convert(options(log, tmp_path / "DS", resume=resume, overwrite=True, dry_run=dry_run))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [precious]
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("names", [[], ["lock"]])
def test_an_unmarked_start_of_a_conversion_is_taken_over(log, tmp_path, names):
    work = tmp_path / "DS.partial" / "work"
    work.mkdir(parents=True)
    for name in names:
        (work / name).touch()
    convert(options(log, tmp_path / "DS", resume=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["DS"]


def test_starting_afresh_is_not_continued_before_the_old_files_are_gone(log, tmp_path, monkeypatch):
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "writing" and done >= 1:
            raise KeyboardInterrupt

    def stop(path: Path, **flags: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(options(log, tmp_path / "DS"), progress=interrupt)
    with monkeypatch.context() as patch:
        patch.setattr(partial_output.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            convert(options(log, tmp_path / "DS"))
    with pytest.raises(DataError, match="without --resume to start afresh"):
        convert(options(log, tmp_path / "DS", resume=True))


def test_overwrite_replaces_a_dataset(log, tmp_path):
    convert(options(log, tmp_path / "DS", split="random_user", min_seq_len=3))
    with pytest.raises(DataError, match="--overwrite"):
        convert(options(log, tmp_path / "DS"))
    convert(options(log, tmp_path / "DS", overwrite=True))
    assert InteractionDataset.open(tmp_path / "DS").manifest.split.rule == "leave_one_out"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["DS"]


def test_a_second_conversion_to_the_same_output_waits_its_turn(log, tmp_path):
    refused = []

    def convert_again(stage: str, done: int, total: int) -> None:
        if stage == "splitting":
            with pytest.raises(DataError, match="Another conversion"):
                convert(options(log, tmp_path / "DS"))
            refused.append(stage)

    convert(options(log, tmp_path / "DS"), progress=convert_again)
    assert refused
    InteractionDataset.open(tmp_path / "DS").verify()


def test_dry_run_counts_and_writes_nothing(log, tmp_path):
    manifest = convert(options(log, tmp_path / "DS", dry_run=True))
    assert list(tmp_path.iterdir()) == []
    written = convert(options(log, tmp_path / "DS"))
    assert manifest.counts == written.counts
    assert manifest.splits["train"].shards == []
    assert manifest.schema_hash == written.schema_hash
    with pytest.raises(DataError, match="exists"):
        convert(options(log, tmp_path / "DS", dry_run=True))
