"""Publication, rollback and pruning of version directories."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfrec.errors import ConfigError, DataError
from tfrec.serving.version_directory import VersionDirectory


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def publish(directory: VersionDirectory, text: str, version: int | None = None) -> None:
    with directory.new_version(version) as folder:
        (folder / "saved_model.pb").write_text(text)
        assert folder.name.startswith(".")  # TensorFlow Serving passes over names that are no numbers
        assert not any(
            path.name == "saved_model.pb" for path in directory.path.glob("[0-9]*/*") if text == path.read_text()
        )


def test_versions_count_up_and_may_be_given(tmp_path: Path) -> None:
    directory = VersionDirectory(tmp_path / "shop" / "model")
    assert directory.versions() == []
    for version, expected in ((None, [1]), (None, [1, 2]), (20, [1, 2, 20]), (None, [1, 2, 20, 21])):
        publish(directory, f"text {expected}", version)
        assert directory.versions() == expected
    assert (directory.newest() / "saved_model.pb").read_text() == "text [1, 2, 20, 21]"
    with pytest.raises(ConfigError, match="Version 5 is not above version 21"):
        publish(directory, "late", 5)
    assert names(directory.path) == [".lock", "1", "2", "20", "21"]


def test_an_error_publishes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    directory = VersionDirectory(tmp_path)
    publish(directory, "good")
    with contextlib.suppress(RuntimeError), directory.new_version() as folder:
        (folder / "saved_model.pb").write_text("bad")
        raise RuntimeError
    assert names(tmp_path) == [".lock", "1"]


def test_a_rollback_brings_the_version_before_back_and_its_number_is_gone(tmp_path: Path) -> None:
    directory = VersionDirectory(tmp_path)
    with pytest.raises(DataError, match="no version"):
        directory.rollback()
    publish(directory, "one")
    with pytest.raises(DataError, match="one version"):
        directory.rollback()
    publish(directory, "two")
    assert directory.rollback(dry_run=True) == (2, 1)
    assert directory.versions() == [1, 2]
    assert directory.rollback() == (2, 1)
    assert (directory.versions(), directory.parked()) == ([1], [2])
    publish(directory, "three")
    assert directory.versions() == [1, 3]
    assert (tmp_path / ".2.rolled-back" / "saved_model.pb").read_text() == "two"


def test_pruning_keeps_the_newest(tmp_path: Path) -> None:
    directory = VersionDirectory(tmp_path)
    for number in range(6):
        publish(directory, str(number))
    for _ in range(2):
        directory.rollback()
    assert directory.prune(3) == [1]
    assert (directory.versions(), directory.parked()) == ([2, 3, 4], [6])
    assert directory.prune(3) == []
    publish(directory, "new")
    assert directory.prune(1) == [2, 3, 4]
    assert names(tmp_path) == [".6.rolled-back", ".lock", "7"]
    with pytest.raises(ConfigError, match="at least 1"):
        directory.prune(0)


def test_exporters_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """While one writes, others publish, roll back and prune; it gets the number that is next when it ends."""
    directory, other = VersionDirectory(tmp_path), VersionDirectory(tmp_path)
    numbers = []

    def finish(folder: Path, number: int) -> None:
        (folder / "number").write_text(str(number))
        numbers.append((number, (tmp_path / str(number)).exists()))

    with directory.new_version(finish=finish) as folder:
        (folder / "saved_model.pb").write_text("slow")
        for text in ("one", "two"):
            publish(other, text)  # removes nothing of a living process
        assert other.rollback() == (2, 1)
        publish(other, "three")
        assert other.prune(1) == [1]
    assert numbers == [(4, False)]
    assert (directory.versions(), directory.parked()) == ([3, 4], [2])
    assert [(tmp_path / "4" / name).read_text() for name in ("saved_model.pb", "number")] == ["slow", "4"]
    assert names(tmp_path) == [".2.rolled-back", ".lock", "3", "4"]


def test_a_number_that_others_took_meanwhile_is_refused(tmp_path: Path) -> None:
    directory = VersionDirectory(tmp_path)
    with pytest.raises(ConfigError, match="Version 1 is not above version 1"), directory.new_version(1):
        publish(VersionDirectory(tmp_path), "second")
    assert names(tmp_path) == [".lock", "1"]


def test_a_directory_that_is_held_for_long_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrec.serving.version_directory._WAIT_SECONDS", 0.1)
    publish(VersionDirectory(tmp_path), "one")
    with (tmp_path / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"held the directory for 0\.1 s"):
            VersionDirectory(tmp_path).prune(1)
    assert VersionDirectory(tmp_path).prune(1) == []


def test_everything_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    synced: list[Path] = []
    monkeypatch.setattr("os.fsync", fsync)
    with VersionDirectory(tmp_path).new_version() as folder:
        (folder / "variables").mkdir()
        (folder / "variables" / "data").write_text("x")
    expected = [folder / "variables" / "data", folder / "variables", folder, tmp_path]
    assert sorted(synced) == sorted(expected)
    assert synced[-1] == tmp_path


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="not a directory"):
        publish(VersionDirectory(tmp_path / "file"), "text")


# Ends itself by SIGKILL just before the rename that would publish.
KILLED = """
import os, signal, sys
def kill(event, arguments):
    if event == "os.rename" and os.path.basename(arguments[1]) == "2":
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
from tfrec.serving.version_directory import VersionDirectory
with VersionDirectory(sys.argv[1]).new_version() as folder:
    (folder / "saved_model.pb").write_text("half")
"""


def test_a_kill_between_writing_and_renaming_leaves_the_old_version(tmp_path: Path) -> None:
    directory = VersionDirectory(tmp_path)
    publish(directory, "old")
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert [path.read_text() for path in tmp_path.glob(".*.partial/saved_model.pb")] == ["half"]
    assert directory.versions() == [1]
    assert (directory.newest() / "saved_model.pb").read_text() == "old"
    publish(directory, "new")
    assert names(tmp_path) == [".lock", "1", "2"]
    assert (tmp_path / "2" / "saved_model.pb").read_text() == "new"
