"""The directory that TensorFlow Serving watches: one numbered subdirectory per version, each whole or absent."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tfrec.errors import ConfigError, DataError
from tfrec.files import flush_directory, flush_tree

_VERSION = re.compile(r"[1-9][0-9]*")
_UNFINISHED = re.compile(r"\.[0-9A-Za-z-]+\.partial")
_PARKED = re.compile(r"\.([0-9]+)\.rolled-back")
_LOCK = ".lock"
_WAIT_SECONDS = 10.0  # for others that publish, roll back or prune, which takes them an instant


class VersionDirectory:
    """Publishes, rolls back and prunes versions.

    TensorFlow Serving takes subdirectories whose names are numbers for versions and serves the largest; all other names
    are passed over. A version is written under a name of its own, `.PROCESS-RANDOM.partial`, and gets its number, the
    next one then, when it is whole. So several processes may write at a time, and the directory is locked only for the
    renaming, for rollbacks and for pruning. A version that is rolled back is kept as `.N.rolled-back`, and its number
    is not used again.

    Args:
        path: The directory; made when the first version is written.

    Example:
        >>> directory = VersionDirectory("models/shop")  # doctest: +SKIP
        >>> with directory.new_version() as folder:  # doctest: +SKIP
        ...     tf.saved_model.save(module, folder)
        >>> directory.versions()  # doctest: +SKIP
        [1]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def versions(self) -> list[int]:
        """Returns the published versions in ascending order."""
        return sorted(int(name) for name in self._names() if _VERSION.fullmatch(name))

    def parked(self) -> list[int]:
        """Returns the versions that were rolled back, in ascending order."""
        return sorted(int(found[1]) for name in self._names() if (found := _PARKED.fullmatch(name)))

    def folder(self, version: int) -> Path:
        """Returns the path of a version."""
        return self.path / str(version)

    def parked_folder(self, version: int) -> Path:
        """Returns the path of a version that was rolled back."""
        return self.path / f".{version}.rolled-back"

    def newest(self) -> Path:
        """Returns the path of the newest version.

        Raises:
            DataError: There is none.
        """
        versions = self.versions()
        if not versions:
            raise DataError("There is no exported version.", file=self.path, remedy="Export a run to it first.")
        return self.folder(versions[-1])

    def next_version(self, wanted: int | None = None) -> int:
        """Returns the number of the next version: one more than the largest so far.

        Args:
            wanted: Use this number.

        Raises:
            ConfigError: The wanted number is not larger than all others, so that it would not be served.
        """
        largest = max([0, *self.versions(), *self.parked()])
        if wanted is None:
            return largest + 1
        if wanted <= largest:
            raise ConfigError(
                f"Version {wanted} is not above version {largest} in `{self.path}`: it would not be served.",
                remedy="Leave --version out, or give a larger number.",
            )
        return wanted

    @contextlib.contextmanager
    def new_version(
        self, version: int | None = None, *, finish: Callable[[Path, int], None] | None = None
    ) -> Iterator[Path]:
        """Context in which a version is written; it is published when the block ends without an error.

        What a crash left of earlier attempts is removed first. After an error nothing is left.

        Args:
            version: Its number. Default: `next_version` at the end.
            finish: Called at the end with the directory and the number, before the version becomes visible.

        Yields:
            An existing, empty directory.

        Raises:
            ConfigError: The path is no directory, or the number is taken.
            DataError: Another process holds the directory for long.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"`{self.path}` is not a directory.", remedy="Pass another --output.")
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._remove_unfinished()
            self.next_version(version)  # a number that is taken is refused at once
            partial = self.path / f".{os.getpid()}-{secrets.token_hex(4)}.partial"
            partial.mkdir()
            mark = os.open(partial, os.O_RDONLY)
            with contextlib.suppress(OSError):  # not every file system locks directories
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the end of the process, if need be
        try:
            yield partial
            flush_tree(partial)
            with self._locked():
                number = self.next_version(version)
                if finish is not None:
                    finish(partial, number)
                    flush_tree(partial)
                partial.rename(self.folder(number))
                flush_directory(self.path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            os.close(mark)

    def rollback(self, *, dry_run: bool = False) -> tuple[int, int]:
        """Parks the newest version, so that the one before it is served again.

        Args:
            dry_run: Only say what would be done.

        Returns:
            The numbers of the parked version and of the one that is now the newest.

        Raises:
            DataError: There are fewer than two versions.
        """
        with self._locked():
            versions = self.versions()
            if len(versions) < 2:
                raise DataError(
                    f"There {'is one version' if versions else 'is no version'}, and none to go back to.",
                    file=self.path,
                    remedy="Export a run to it.",
                )
            if not dry_run:
                self.folder(versions[-1]).rename(self.parked_folder(versions[-1]))
                flush_directory(self.path)
            return versions[-1], versions[-2]

    def prune(self, keep: int) -> list[int]:
        """Removes all but the newest versions, and all but the newest of those that were rolled back.

        Args:
            keep: How many versions to keep, at least 1.

        Returns:
            The numbers of the removed versions.

        Raises:
            ConfigError: `keep` is below 1.
        """
        if keep < 1:
            raise ConfigError(f"`keep` is {keep}.", remedy="Keep at least 1 version.")
        with self._locked():
            removed = self.versions()[:-keep]
            doomed = [str(version) for version in removed]
            doomed += [f".{version}.rolled-back" for version in self.parked()[:-1]]
            gone = [self.path / f".removed-{secrets.token_hex(4)}.partial" for _ in doomed]
            for name, place in zip(doomed, gone, strict=True):  # a half removed version must not look like one
                (self.path / name).rename(place)
        for place in gone:
            shutil.rmtree(place, ignore_errors=True)  # what is left goes with the next version
        return removed

    def _names(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir()) if self.path.is_dir() else []

    def _remove_unfinished(self) -> None:
        for name in self._names():
            if _UNFINISHED.fullmatch(name) and not _in_use(self.path / name):
                shutil.rmtree(self.path / name, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.path.is_dir():
            raise DataError("There is no such directory.", file=self.path, remedy="Export a run to it first.")
        with (self.path / _LOCK).open("w") as lock:
            until = time.monotonic() + _WAIT_SECONDS
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if time.monotonic() > until:
                        raise DataError(
                            f"Another process has held the directory for {_WAIT_SECONDS:g} s.",
                            file=self.path,
                            remedy="Wait for it to end.",
                        ) from error
                time.sleep(0.05)
            yield


def _in_use(folder: Path) -> bool:
    """Whether a living process writes to a directory."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
