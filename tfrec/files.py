"""Files that are either whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

_READ_BYTES = 1 << 22


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a temporary file beside `path` and renames it to `path` when the block ends without an error.

    Args:
        path: Final name; its directory must exist.
        mode: `w` for text (UTF-8) or `wb` for bytes.
    """
    target = Path(path)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def flush_tree(folder: str | os.PathLike[str]) -> None:
    """Brings a directory and everything in it to the disk, so that a name given to it later never names less."""
    for path in [*Path(folder).rglob("*"), Path(folder)]:
        if path.is_dir():
            flush_directory(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def flush_directory(folder: str | os.PathLike[str]) -> None:
    """Brings the names in a directory to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str | os.PathLike[str], document: Mapping[str, Any]) -> None:
    """Writes a JSON document atomically."""
    with atomic_write(path) as file:
        json.dump(document, file, indent=2, default=str)
        file.write("\n")


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def size_and_sha256(file: _Readable) -> tuple[int, str]:
    """Returns the number of bytes that are left in an open file and their sha256, read a piece at a time."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(_READ_BYTES):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
