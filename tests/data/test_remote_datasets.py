"""Remote dataset directories; the only hosts are in this process, on 127.0.0.1."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.data.http_hosts import Plain
from tfrec.command import run_command
from tfrec.convert import main
from tfrec.data import remote_paths
from tfrec.data.dataset import InteractionDataset
from tfrec.data.remote_paths import UnreachableError, answer, scheme_of
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import DataError

has_tensorflow_io = importlib.util.find_spec("tensorflow_io") is not None
needs_tensorflow_io = pytest.mark.skipif(not has_tensorflow_io, reason="needs tensorflow-io (Python 3.10 stack)")


@pytest.fixture
def log(forty_sessions) -> Path:
    return forty_sessions


def run(*arguments: object) -> int:
    return run_command(main, [str(argument) for argument in arguments], prog="python -m tfrec.convert")


@needs_tensorflow_io
def test_dataset_directory_over_http_reads_as_the_local_one(log, tmp_path, serve):
    assert run("--input", log, "--output", tmp_path / "DS", "--shards", 3) == 0
    local = InteractionDataset.open(tmp_path / "DS")
    remote = InteractionDataset.open(f"{serve(tmp_path)}/DS/")
    remote.verify()
    np.testing.assert_array_equal(remote.load_ragged("train").items, local.load_ragged("train").items)
    np.testing.assert_array_equal(remote.item_vocabulary.ids, local.item_vocabulary.ids)
    batches = [
        [batch["item"].numpy().tolist() for batch in sequence_dataset(dataset, "train", 8, shuffle=True, seed=1)]
        for dataset in (remote, local)
    ]
    assert batches[0] == batches[1]
    (tmp_path / "DS" / "train" / "part-00001-of-00003.tfrecord").unlink()
    with pytest.raises(
        DataError, match=r"part-00001-of-00003.tfrecord`: The file is named in the manifest but missing"
    ):
        InteractionDataset.open(remote.path)


@pytest.mark.parametrize("said", ["", "ann:secret@"])
def test_credentials_of_a_dataset_are_not_shown(said, monkeypatch):
    def fail(path):
        raise tf.errors.UnavailableError(None, None, f"no route to {path}")

    url = f"gs://{said}bucket/DS" if said else "https://host/DS?token=secret"
    monkeypatch.setattr("tfrec.data.dataset.dataset_root", lambda path: path)
    monkeypatch.setattr(tf.io.gfile, "stat", fail)
    with pytest.raises(UnreachableError, match=r"no route to (gs|https)://(bucket|host)/DS") as caught:
        InteractionDataset.open(url)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.file)


@needs_tensorflow_io
def test_dataset_over_http_without_manifest_or_host(tmp_path, serve, closed_port):
    with pytest.raises(DataError, match=r"no `manifest\.json`"):
        InteractionDataset.open(f"{serve(tmp_path)}/DS")
    start = time.monotonic()
    with pytest.raises(UnreachableError, match=f"`http://127.0.0.1:{closed_port}/DS/manifest.json`: Cannot be read"):
        InteractionDataset.open(f"http://127.0.0.1:{closed_port}/DS")
    assert time.monotonic() - start < 5


@needs_tensorflow_io
def test_dataset_on_a_silent_host_is_given_up(silent_host, monkeypatch):
    monkeypatch.setattr(remote_paths, "ANSWER_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(UnreachableError, match="No answer"):
        InteractionDataset.open(f"{silent_host}/DS")
    assert time.monotonic() - start < 5


@needs_tensorflow_io
def test_dataset_on_a_server_without_ranges_is_explained(tmp_path, serve):
    count = 80_000  # one shard of more than 512 KiB, the piece that tensorflow-io asks for
    table = pa.table(
        {"session_id": np.arange(count) // 8, "item_id": np.arange(count) % 999, "timestamp": np.arange(count) * 10}
    )
    pq.write_table(table, tmp_path / "log.parquet")
    assert run("--input", tmp_path / "log.parquet", "--output", tmp_path / "DS", "--shards", 1) == 0
    dataset = InteractionDataset.open(tmp_path / "DS")
    assert dataset.manifest.splits["train"].shards[0].bytes > 1 << 19
    ranges = InteractionDataset.open(f"{serve(tmp_path)}/DS")
    np.testing.assert_array_equal(ranges.load_ragged("train").items, dataset.load_ragged("train").items)
    ranges.verify("train")
    plain = InteractionDataset.open(f"{serve(tmp_path, Plain)}/DS")
    with pytest.raises(UnreachableError, match="must answer range requests"):
        plain.verify("train")


@needs_tensorflow_io
@pytest.mark.e2e
def test_exit_code_survives_the_s3_client(tmp_path, serve):
    """tensorflow-io's S3 client aborts the process at its end (exit code 134) unless it is prevented."""
    code = (
        "import sys, tfrec\n"
        "from tfrec.data.dataset import InteractionDataset\n"
        "from tfrec.errors import DataError\n"
        "try:\n"
        "    InteractionDataset.open('s3://bucket/DS')\n"
        "except DataError as error:\n"
        "    print(error)\n"
        "    sys.exit(error.exit_code)\n"
    )
    settings = {"S3_ENDPOINT": serve(tmp_path), "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **settings, "AWS_EC2_METADATA_DISABLED": "true"},
    )
    assert ended.returncode == 3, ended.stderr
    assert ended.stdout.startswith("`s3://bucket/DS`: Not a dataset directory: no `manifest.json` in it")
    assert "pure virtual" not in ended.stderr


@pytest.mark.skipif(has_tensorflow_io, reason="tensorflow-io is installed")
@pytest.mark.parametrize("scheme", ["s3", "http", "https", "az"])
def test_dataset_without_tensorflow_io(scheme):
    with pytest.raises(
        DataError, match=rf"`{scheme}://` needs tensorflow-io, which is not installed.*Copy the dataset"
    ):
        InteractionDataset.open(f"{scheme}://host/DS")


def test_dataset_when_tensorflow_io_does_not_load(monkeypatch):
    def broken(name: str) -> None:
        raise NotImplementedError(f"unable to open file: lib{name}.so")

    monkeypatch.setattr(remote_paths.importlib, "import_module", broken)
    monkeypatch.setattr(tf.io.gfile, "get_registered_schemes", lambda: ["", "file", "gs"])
    with pytest.raises(
        DataError, match=r"does not load \(NotImplementedError: unable to open file: libtensorflow_io.so\)"
    ):
        InteractionDataset.open("az://host/DS")


def test_file_url_of_a_dataset(log, tmp_path):
    assert run("--input", log, "--output", tmp_path / "DS") == 0
    assert InteractionDataset.open((tmp_path / "DS").as_uri()).num_events("train") == 105  # 35 of 40 sessions of 3


def test_answer_passes_on_what_is_absent_and_explains_the_rest():
    def fail(error: Exception) -> None:
        raise error

    assert answer("s3://b/x", lambda: 7) == 7
    with pytest.raises(FileNotFoundError):
        answer("s3://b/x", lambda: fail(FileNotFoundError("x")), absent=(FileNotFoundError,))
    with pytest.raises(UnreachableError, match=r"^`s3://b/x`: Cannot be read \(ValueError: first\)\. Check host"):
        answer("s3://b/x", lambda: fail(ValueError("first.\nsecond")))


@pytest.mark.parametrize(
    ("path", "scheme"),
    [("s3://b/k", "s3"), ("HTTPS://h/k", "https"), ("C:/x", ""), ("a/b://c", ""), ("/x", ""), ("x.csv", "")],
)
def test_scheme_of(path, scheme):
    assert scheme_of(path) == scheme
