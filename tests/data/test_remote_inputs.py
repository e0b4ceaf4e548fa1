"""Remote input files; the only hosts are in this process, on 127.0.0.1."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.data.http_hosts import Plain
from tfrec.command import run_command
from tfrec.convert import main
from tfrec.data import remote_inputs, remote_paths
from tfrec.data.dataset import InteractionDataset
from tfrec.data.remote_inputs import RemoteFile, fetch_remote
from tfrec.data.remote_paths import UnreachableError
from tfrec.data.work_database import OutOfSpaceError
from tfrec.errors import DataError
from tfrec.public_url import public_url


@pytest.fixture
def log(forty_sessions) -> Path:
    return forty_sessions


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


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


def test_remote_dataset_is_no_input(tmp_path, memory, capsys):
    for name in ("manifest.json", "schema.pbtxt", "vocab/item.parquet"):
        memory.pipe(f"/DS/{name}", b"x")
    assert run("--input", "memory://DS", "--output", tmp_path / "X") == 3
    assert "`memory://DS`: This is a dataset that `tfrec.convert` wrote" in only_line(capsys)


def test_file_url_is_a_local_file(log, tmp_path):
    spaced = tmp_path / "my log.parquet"
    spaced.write_bytes(log.read_bytes())
    assert run("--input", spaced, "--output", tmp_path / "local") == 0
    assert run("--input", spaced.as_uri(), "--output", tmp_path / "remote") == 0
    assert contents(tmp_path / "remote") == contents(tmp_path / "local")
    assert source_paths(tmp_path / "remote") == [str(spaced)]


def test_http_input_needs_no_ranges_and_the_query_stays_secret(log, tmp_path, serve):
    url = serve(tmp_path, Plain)
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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a.csv?X-Amz-Signature=s#part", "https://h/a.csv"),
        ("sftp://me:secret@h/a.csv", "sftp://h/a.csv"),
        ("https://token@h/a@b.csv", "https://h/a@b.csv"),
        ("/data/a:b@c.csv?", "/data/a:b@c.csv?"),
        ("abfs://container@account.dfs.core.windows.net/a.csv", "abfs://container@account.dfs.core.windows.net/a.csv"),
        ("s3://bucket/what?.csv", "s3://bucket/what?.csv"),
    ],
)
def test_public_url(url, shown):
    assert public_url(url) == shown
