"""Remote input and remote dataset directories; the only hosts are in this process, on 127.0.0.1."""

from __future__ import annotations

import functools
import gzip
import http.server
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfrec.command import run_command
from tfrec.convert import main
from tfrec.data import remote_inputs, remote_paths
from tfrec.data.dataset import InteractionDataset
from tfrec.data.remote_inputs import RemoteFile, fetch_remote, public_url
from tfrec.data.remote_paths import UnreachableError, answer, scheme_of
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.data.work_database import OutOfSpaceError
from tfrec.errors import DataError

has_tensorflow_io = importlib.util.find_spec("tensorflow_io") is not None
needs_tensorflow_io = pytest.mark.skipif(not has_tensorflow_io, reason="needs tensorflow-io (Python 3.10 stack)")
Server = Callable[..., str]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "log.parquet"
    rows = [(n, item, n * 20_000 + item) for n in range(40) for item in (5, 6, 7)]
    session, item, when = zip(*rows, strict=True)
    pq.write_table(pa.table({"session_id": session, "item_id": item, "timestamp": when}), path, row_group_size=50)
    return path


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


class _Plain(http.server.SimpleHTTPRequestHandler):
    """Whole files only, like `python -m http.server`."""

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client closes the connection when it has seen enough
            self.close_connection = True


class _Ranges(_Plain):
    """Also answers `Range: bytes=first-last`."""

    def do_GET(self) -> None:
        asked = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        content = path.read_bytes()
        first, last = int(asked.group(1)), min(int(asked.group(2)), len(content) - 1)
        if first >= len(content):
            self.send_error(416)
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(content[first : last + 1])


@pytest.fixture
def serve() -> Iterator[Server]:
    """Serves a directory on a free port of 127.0.0.1 and returns the URL."""
    servers = []

    def start(directory: Path, handler: type = _Ranges) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(directory)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


@pytest.fixture
def silent_host() -> Iterator[str]:
    """A host that accepts connections and never answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(16)
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def run(*arguments: object) -> int:
    return run_command(main, [str(argument) for argument in arguments], prog="python -m tfrec.convert")


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a dataset directory; the path of the source is taken out of the manifest."""
    found = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    manifest = json.loads(found["manifest.json"])
    for source in manifest["sources"]:
        del source["path"]
    found["manifest.json"] = json.dumps(manifest).encode()
    return found


def source_paths(directory: Path) -> list[str]:
    return [source["path"] for source in json.loads((directory / "manifest.json").read_text())["sources"]]


def only_line(capsys) -> str:
    """The message of a command that failed: nothing on standard output, no traceback, one line that is not blank."""
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    return lines[0]


def test_memory_parquet_gives_the_bytes_of_a_local_file(log, tmp_path, memory, capsys):
    memory.pipe("/logs/log.parquet", log.read_bytes())
    assert run("--input", log, "--output", tmp_path / "local") == 0
    assert run("--input", "memory://logs/log.parquet", "--output", tmp_path / "remote") == 0
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")
    assert source_paths(tmp_path / "remote") == ["memory://logs/log.parquet"]
    assert "fetching" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_memory_csv_gives_the_bytes_of_a_local_file(log, tmp_path, memory, name):
    path = tmp_path / name
    pa_csv.write_csv(pq.read_table(log), tmp_path / "log.csv")
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress((tmp_path / "log.csv").read_bytes()))
    memory.pipe(f"/logs/{name}", path.read_bytes())
    assert run("--input", path, "--output", tmp_path / "local") == 0
    assert run("--input", f"memory://logs/{name}", "--output", tmp_path / "remote") == 0
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")


def test_remote_directory_and_glob_stand_for_sorted_files(log, tmp_path, memory):
    table = pq.read_table(log)
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    pq.write_table(table.slice(60), tmp_path / "logs" / "b.parquet")
    pq.write_table(table.slice(0, 30), tmp_path / "logs" / "a.parquet")
    pq.write_table(table.slice(30, 30), tmp_path / "logs" / "deep" / "c.parquet")
    (tmp_path / "logs" / "_SUCCESS").write_text("ignored")
    for path in (tmp_path / "logs").rglob("*"):
        if path.is_file():
            memory.pipe(f"/logs/{path.relative_to(tmp_path / 'logs')}", path.read_bytes())
    assert run("--input", tmp_path / "logs", "--output", tmp_path / "local") == 0
    assert run("--input", "memory://logs", "--output", tmp_path / "remote") == 0
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")
    assert [path.rsplit("/", 1)[1] for path in source_paths(tmp_path / "remote")] == [
        "a.parquet",
        "b.parquet",
        "c.parquet",
    ]
    assert run("--input", "memory://logs/*.parquet", "--output", tmp_path / "glob") == 0
    assert [path.rsplit("/", 1)[1] for path in source_paths(tmp_path / "glob")] == ["a.parquet", "b.parquet"]


def test_file_url_is_a_local_file(log, tmp_path):
    spaced = tmp_path / "my log.parquet"
    spaced.write_bytes(log.read_bytes())
    assert run("--input", spaced, "--output", tmp_path / "local") == 0
    assert run("--input", spaced.as_uri(), "--output", tmp_path / "remote") == 0
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")
    assert source_paths(tmp_path / "remote") == [str(spaced)]


def test_http_input_needs_no_ranges_and_the_query_stays_secret(log, tmp_path, serve):
    url = serve(tmp_path, _Plain)
    assert run("--input", log, "--output", tmp_path / "local") == 0
    assert run("--input", f"{url}/log.parquet?signature=secret", "--output", tmp_path / "remote") == 0
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")
    assert source_paths(tmp_path / "remote") == [f"{url}/log.parquet"]


def test_dry_run_reads_remote_input_and_writes_nothing(log, tmp_path, memory, capsys):
    memory.pipe("/log.parquet", log.read_bytes())
    assert run("--input", "memory://log.parquet", "--output", tmp_path / "DS", "--dry-run") == 0
    assert "120 events read" in capsys.readouterr().out
    assert not list(tmp_path.glob("DS*"))


def test_bad_row_of_a_remote_file_is_named_by_its_url(tmp_path, memory, capsys):
    memory.pipe("/log.csv", b"session_id,item_id,timestamp\n1,5,10\n1,6\n")
    assert run("--input", "memory://log.csv", "--output", tmp_path / "DS") == 3
    err = " ".join(capsys.readouterr().err.split())
    assert "`memory://log.csv`, row 2" in err
    assert "DS.partial" not in err
    assert not list(tmp_path.glob("DS*"))


def test_a_lost_connection_keeps_what_was_fetched(log, tmp_path, memory, monkeypatch, capsys):
    for name in ("a", "b", "c"):
        memory.pipe(f"/logs/{name}.parquet", log.read_bytes())
    copied: list[str] = []
    copy = remote_inputs._copy

    def flaky(scheme: str, pairs: list[tuple[RemoteFile, Path]]) -> None:
        if len(copied) == 2:
            raise UnreachableError("The connection broke.", file=pairs[0][0].url, remedy="Try again.")
        copied.extend(file.url for file, _ in pairs)
        copy(scheme, pairs)

    monkeypatch.setattr(remote_inputs, "_FILES_AT_ONCE", 1)
    monkeypatch.setattr(remote_inputs, "_copy", flaky)
    assert run("--input", "memory://logs", "--output", tmp_path / "DS") == 3
    assert "The connection broke." in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "DS.partial").is_dir()
    copied.clear()
    assert run("--input", "memory://logs", "--output", tmp_path / "DS", "--resume") == 0
    assert [url.rsplit("/", 1)[1] for url in copied] == ["c.parquet"]
    assert not (tmp_path / "DS.partial").exists()
    assert sorted(path.name for path in (tmp_path / "DS").iterdir()) == [
        *("manifest.json", "schema.pbtxt", "test", "train", "vocab")
    ]


def test_a_file_of_another_size_is_refused(tmp_path, memory):
    memory.pipe("/x.csv", b"12345")
    with pytest.raises(UnreachableError, match="Received 5 bytes of 6"):
        fetch_remote([RemoteFile("memory://x.csv", 6, "")], [tmp_path / "x.csv"])
    assert not (tmp_path / "x.csv").exists()


def test_input_larger_than_the_disk_is_not_fetched(tmp_path, memory):
    with pytest.raises(OutOfSpaceError, match="4,611,686,018,427,387,904 bytes"):
        fetch_remote([RemoteFile("memory://x.csv", 1 << 62, "")], [tmp_path / "x.csv"])


@pytest.mark.parametrize("url", ["memory://none.parquet", "memory://none/*.parquet"])
def test_missing_remote_file(tmp_path, memory, capsys, url):
    assert run("--input", url, "--output", tmp_path / "DS") == 3
    assert f"`{url}`: No " in only_line(capsys)


def test_missing_http_file(tmp_path, serve, capsys):
    assert run("--input", f"{serve(tmp_path)}/none.parquet", "--output", tmp_path / "DS") == 3
    assert "/none.parquet`: No such file" in only_line(capsys)


def test_unknown_scheme_lists_the_known_ones(tmp_path, capsys):
    assert run("--input", "gopher://host/log.parquet", "--output", tmp_path / "DS") == 3
    line = only_line(capsys)
    assert "Unknown scheme `gopher://`" in line
    assert "s3://" in line
    with pytest.raises(DataError, match=r"Unknown scheme `gopher://`.*gs://.*s3://"):
        InteractionDataset.open("gopher://host/DS")


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")])
def test_missing_package_is_named(tmp_path, monkeypatch, capsys, scheme, package):
    def missing(protocol: str) -> None:
        raise ImportError(f"no client for {protocol}")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    assert run("--input", f"{scheme}://bucket/log.parquet", "--output", tmp_path / "DS") == 3
    line = only_line(capsys)
    assert f"`{scheme}://`" in line
    assert f"`pip install '{package}'`" in line


def test_remote_output_is_refused(log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("--input", log, "--output", "s3://bucket/DS") == 2
    assert "`--output` must be a local directory, received `s3://bucket/DS`" in only_line(capsys)
    assert not (tmp_path / "s3:").exists()


def test_closed_port_answers_soon(tmp_path, closed_port, capsys):
    url = f"http://127.0.0.1:{closed_port}"
    start = time.monotonic()
    assert run("--input", f"{url}/log.parquet", "--output", tmp_path / "DS") == 3
    assert time.monotonic() - start < 5
    assert f"`{url}/log.parquet`: Cannot be read" in only_line(capsys)
    assert not list(tmp_path.glob("DS*"))


def test_silent_host_is_given_up(tmp_path, silent_host, monkeypatch, capsys):
    monkeypatch.setattr(remote_paths, "ANSWER_SECONDS", 0.5)
    start = time.monotonic()
    assert run("--input", f"{silent_host}/log.parquet", "--output", tmp_path / "DS") == 3
    assert time.monotonic() - start < 5
    assert "No answer from `http://` within" in only_line(capsys)


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
    plain = InteractionDataset.open(f"{serve(tmp_path, _Plain)}/DS")
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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a.csv?X-Amz-Signature=s#part", "https://h/a.csv"),
        ("sftp://me:secret@h/a.csv", "sftp://h/a.csv"),
        ("abfs://container@account.dfs.core.windows.net/a.csv", "abfs://container@account.dfs.core.windows.net/a.csv"),
        ("s3://bucket/what?.csv", "s3://bucket/what?.csv"),
    ],
)
def test_public_url(url, shown):
    assert public_url(url) == shown
