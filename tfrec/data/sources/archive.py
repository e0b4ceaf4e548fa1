"""The archive in which an owner offers a data set for download."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tfrec.data.remote_inputs import fetch_remote, list_remote
from tfrec.data.remote_paths import UnreachableError
from tfrec.errors import DataError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A zip file at its owner's address.

    Attributes:
        name: File name.
        url: Where it is downloaded from.
        md5: Checksum that the owner publishes beside it.
    """

    name: str
    url: str
    md5: str

    def fetch(self, folder: Path, progress: Callable[[int], None] = lambda done: None) -> Path:
        """Downloads the archive to a directory, whole or not at all; one that is there already is only checked.

        Args:
            folder: Where it is kept; made when missing.
            progress: Called with 0 before and 1 after the download.

        Returns:
            The path of the archive.

        Raises:
            DataError: The address is gone, or the content is not what its owner published.
            UnreachableError: The host does not answer.
        """
        path = folder / self.name
        if not path.exists():
            try:
                files, _ = list_remote(self.url)
                fetch_remote(files, [path], progress)
            except UnreachableError as error:
                remedy = f"{error.remedy} Or get it another way and pass the file with --from."
                raise UnreachableError(error.problem, remedy=remedy) from error
        self.check(path)
        return path

    def check(self, path: Path) -> None:
        """Raises DataError unless a file has the published checksum."""
        digest = hashlib.md5(usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        if digest.hexdigest() != self.md5:
            raise DataError(
                f"Its md5 is {digest.hexdigest()}, that of the published archive {self.md5}.",
                file=path,
                remedy=f"Remove it and get it again from {self.url}.",
            )


def extract(path: Path, names: Iterable[str], folder: Path) -> None:
    """Writes members of a zip file to a directory, flat; members in its directories count as well.

    Args:
        path: The zip file.
        names: Names of the members that are wanted; those that are not there are passed over.
        folder: Where they are written.

    Raises:
        DataError: Not a readable zip file, or two members have the same name.
    """
    wanted = set(names)
    try:
        with zipfile.ZipFile(path) as archive:
            found: dict[str, zipfile.ZipInfo] = {}
            for member in archive.infolist():
                name = PurePosixPath(member.filename).name
                if member.is_dir() or name not in wanted:
                    continue
                if name in found:
                    raise DataError(
                        f"It holds `{found[name].filename}` and `{member.filename}`.",
                        file=path,
                        remedy="Unpack it and pass the right directory with --from.",
                    )
                found[name] = member
            for name, member in found.items():
                with archive.open(member) as source, (folder / name).open("wb") as target:
                    while chunk := source.read(_CHUNK_BYTES):
                        target.write(chunk)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DataError(f"Not a readable zip file ({error}).", file=path, remedy="Get it again.") from error
