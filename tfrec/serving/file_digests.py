"""Checksums of the files of a version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

_READ = 1 << 20


def file_digests(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file below a directory by its path in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in paths}


def damaged_files(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """Returns the files that are missing or differ from `file_digests`, in the order of their names."""
    return [
        name
        for name, digest in sorted(digests.items())
        if not (folder / name).is_file() or _digest(folder / name) != digest
    ]


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ):
            total.update(piece)
    return total.hexdigest()
