"""Input files: which they are, where, and in which format."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tfrec.data.manifest import MANIFEST_NAME, SCHEMA_NAME
from tfrec.data.remote_inputs import RemoteFile, list_remote
from tfrec.data.remote_paths import scheme_of
from tfrec.errors import DataError
from tfrec.public_url import public_url

_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "tsv",
    ".inter": "inter",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_ITEM_SUFFIXES = {".item": "inter"}  # of files that are named: in a directory of a log they are not part of it


@dataclass(frozen=True)
class InputFile:
    """One input file.

    Attributes:
        path: Path as given or found by a glob, for people and the manifest; of a URL without its secrets.
        format: `parquet`, `csv`, `tsv`, `inter` or `jsonl`.
        split: The split the user assigned it to.
        named: Named by the user, not found by a glob or in a directory.
        size: Bytes; None when a remote file system does not tell.
        stamp: What changes with the content: time of modification or entity tag.
        remote: Where it is, unless it is a local file.
    """

    path: str
    format: str
    split: str | None
    named: bool
    size: int | None
    stamp: str
    remote: RemoteFile | None = None


def find_inputs(patterns: tuple[str, ...], *, split: str | None, file_format: str | None) -> list[InputFile]:
    """Expands files, globs, directories and URLs.

    Args:
        patterns: What the user gave; a directory stands for all files in it (recursively) with a known suffix.
        split: The split all of them belong to.
        file_format: Format of all files; None = by suffix, `.gz` ignored for text formats.

    Returns:
        The files, in the order given, each glob or directory sorted by path.

    Raises:
        DataError: No such file, nothing matches, an unknown suffix or scheme, an empty file, a remote file system that
            does not answer.
    """
    files = []
    for pattern in patterns:
        if scheme_of(pattern) == "file":
            pattern = unquote(urlsplit(pattern).path)
        expand = _expand_remote if scheme_of(pattern) else _expand
        for path, named, size, stamp, remote in expand(pattern, file_format):
            kind = file_format or _format_of(path)
            if size == 0:
                raise DataError("The file is empty.", file=path, remedy="Remove it from the input or write it again.")
            files.append(InputFile(path, kind, split, named, size, stamp, remote))
    return files


_Found = tuple[str, bool, "int | None", str, "RemoteFile | None"]


def _expand(pattern: str, file_format: str | None) -> list[_Found]:
    path = Path(pattern)
    named = False
    if path.is_dir():
        if (path / MANIFEST_NAME).exists() and (path / SCHEMA_NAME).exists():
            raise _no_log(pattern)
        found = [str(name) for name in sorted(path.rglob("*")) if name.is_file() and _wanted(name.name, file_format)]
        if not found:
            raise _nothing_in(pattern)
    elif path.is_file():
        found, named = [pattern], True
    elif glob.has_magic(pattern):
        found = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207
        if not found:
            raise DataError("No file matches the pattern.", file=pattern, remedy="Check the path and the quotes.")
    else:
        raise DataError("No such file or directory.", file=pattern, remedy="Check the path.")
    stats = [(name, Path(name).stat()) for name in found]
    return [(name, named, stat.st_size, str(stat.st_mtime_ns), None) for name, stat in stats]


def _expand_remote(url: str, file_format: str | None) -> list[_Found]:
    files, named = list_remote(url)
    found = [(public_url(file.url), file) for file in files]
    if not named and not glob.has_magic(url):
        if {MANIFEST_NAME, SCHEMA_NAME} <= {path.rsplit("/", 1)[-1] for path, _ in found}:
            raise _no_log(public_url(url))
        found = [(path, file) for path, file in found if _wanted(path.rsplit("/", 1)[-1], file_format)]
        if not found:
            raise _nothing_in(public_url(url))
    return [(path, named, file.size, file.stamp, file) for path, file in found]


def _no_log(directory: str) -> DataError:
    return DataError(
        "This is a dataset that `tfrec.convert` wrote, not a log.",
        file=directory,
        remedy="Pass the log it was made of (`sources` in its manifest.json), or train on it with tfrec.train --data.",
    )


def _nothing_in(directory: str) -> DataError:
    known = ", ".join(_SUFFIXES)
    return DataError("No data file in the directory.", file=directory, remedy=f"Known suffixes: {known}.")


def _wanted(name: str, file_format: str | None) -> bool:
    return not name.startswith((".", "_")) and (file_format is not None or _suffix(name) in _SUFFIXES)


def _suffix(path: str) -> str:
    name = PurePosixPath(path)
    suffix = name.suffix.lower()
    return PurePosixPath(name.stem).suffix.lower() if suffix == ".gz" else suffix


def _format_of(path: str) -> str:
    suffix = _suffix(path)
    if suffix in _ITEM_SUFFIXES:
        return _ITEM_SUFFIXES[suffix]
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise DataError(
            f"Unknown suffix `{suffix}`.", file=path, remedy=f"Known: {known}. Name the format with --format."
        )
    return _SUFFIXES[suffix]
