"""Input files on remote file systems: found and fetched through fsspec."""

from __future__ import annotations

import itertools
import logging
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from tfrec.data import remote_paths
from tfrec.data.remote_paths import UnreachableError, answer, scheme_of
from tfrec.data.work_database import OutOfSpaceError
from tfrec.errors import DataError
from tfrec.public_url import public_url as public_url

_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "http": "fsspec[http]",
    "https": "fsspec[http]",
}
_COMMON = ("abfs", "az", "file", "gs", "hdfs", "http", "https", "s3", "sftp")
_STAMPS = ("ETag", "etag", "LastModified", "last_modified", "Last-Modified", "updated", "mtime", "created")
_CONNECT_SECONDS = 10
_READ_SECONDS = 30
_FILES_AT_ONCE = 16
# Without any handler Python prints their warnings, tracebacks included; what matters arrives as an exception.
for _client in ("aiobotocore", "aiohttp", "azure", "botocore", "fsspec", "gcsfs", "s3fs"):
    logging.getLogger(_client).addHandler(logging.NullHandler())


@dataclass(frozen=True)
class RemoteFile:
    """One remote file.

    Attributes:
        url: Where it is.
        size: Bytes, when the file system tells.
        stamp: What changes with the content: entity tag or time of modification; empty when there is none.
    """

    url: str
    size: int | None
    stamp: str


def list_remote(url: str) -> tuple[list[RemoteFile], bool]:
    """Finds the files that a URL stands for: one file, a glob, or everything below a directory.

    Args:
        url: A URL of any file system that fsspec knows. Over http it names one file.

    Returns:
        The files sorted by path, and whether the URL names just one.

    Raises:
        DataError: An unknown scheme, a package that is missing, or no such file.
        UnreachableError: The file system does not answer within 30 seconds, or refuses.
    """
    shown = public_url(url)
    single = scheme_of(url) in ("http", "https")

    def look() -> tuple[list[RemoteFile], bool]:
        system, path = _open(url)
        if not single and re.search(r"[*?\[]", path):
            found = system.glob(path, detail=True)
        else:
            entry = _info(system, path)
            if entry["type"] != "directory":
                return [RemoteFile(url, entry["size"], _stamp(entry))], True
            found = system.find(path, detail=True)
        entries = [found[name] for name in sorted(found) if found[name]["type"] == "file"]
        urls = [system.unstrip_protocol(entry["name"]) for entry in entries]
        return [RemoteFile(at, entry["size"], _stamp(entry)) for at, entry in zip(urls, entries, strict=True)], False

    try:
        files, named = answer(shown, look, absent=(FileNotFoundError,), seconds=remote_paths.ANSWER_SECONDS)
    except FileNotFoundError as error:
        raise DataError("No such file or directory.", file=shown, remedy="Check the path.") from error
    if not files:
        raise DataError("No file matches.", file=shown, remedy="Check the path and the quotes.")
    return files, named


def fetch_remote(
    files: Sequence[RemoteFile], targets: Sequence[Path], progress: Callable[[int], None] = lambda done: None
) -> None:
    """Copies remote files to local ones, each whole or absent; those already there are left alone.

    Files are read once, in pieces, sixteen at a time.

    Args:
        files: What to copy.
        targets: Local names, one per file, all in one directory.
        progress: Called with the number of files done.

    Raises:
        OutOfSpaceError: The local disk is too small.
        UnreachableError: A file cannot be read, or has another size than was announced.
    """
    missing = [(file, target) for file, target in zip(files, targets, strict=True) if not target.exists()]
    done = len(files) - len(missing)
    progress(done)
    if not missing:
        return
    folder = targets[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = sum(file.size or 0 for file, _ in missing), shutil.disk_usage(folder).free
    if needed > free:
        raise OutOfSpaceError(
            f"The remote input has {needed:,} bytes, which are copied here first; {free:,} are free.",
            file=folder,
            remedy="Free disk space or write to another disk, then run again with --resume.",
        )
    for start in range(0, len(missing), _FILES_AT_ONCE):
        batch = missing[start : start + _FILES_AT_ONCE]
        for scheme, group in itertools.groupby(batch, lambda pair: scheme_of(pair[0].url)):
            _copy(scheme, list(group))
        done += len(batch)
        progress(done)


def _copy(scheme: str, pairs: list[tuple[RemoteFile, Path]]) -> None:
    system = _open(pairs[0][0].url)[0]
    sources = [_open(file.url)[1] for file, _ in pairs]
    parts = [str(target.with_name(target.name + ".part")) for _, target in pairs]
    name = public_url(pairs[0][0].url) if len(pairs) == 1 else f"{scheme}://"
    answer(name, lambda: system.get(sources, parts))
    for (file, target), part in zip(pairs, parts, strict=True):
        size = Path(part).stat().st_size
        if file.size is not None and size != file.size:
            raise UnreachableError(
                f"Received {size:,} bytes of {file.size:,}.",
                file=public_url(file.url),
                remedy="It was changed or the connection broke: run again with --resume.",
            )
        Path(part).rename(target)


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, with time-outs, and the path in it."""
    scheme, shown = scheme_of(url), public_url(url)
    try:
        fsspec.get_filesystem_class(scheme)
        system, path = fsspec.core.url_to_fs(url, **_storage_options(scheme))
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        remedy = f"Install it: `pip install '{package}'`." if package else f"{error}."
        raise DataError(
            f"Reading `{scheme}://` needs a package that is not installed.", file=shown, remedy=remedy
        ) from error
    except ValueError as error:
        if scheme in fsspec.available_protocols():
            raise DataError(f"Not a valid URL ({error}).", file=shown, remedy="Check the path.") from error
        known = ", ".join(f"{name}://" for name in _COMMON)
        raise DataError(
            f"Unknown scheme `{scheme}://`.",
            file=shown,
            remedy=f"Known: {known} and every other file system of fsspec.",
        ) from error
    return system, str(path)


def _storage_options(scheme: str) -> dict[str, Any]:
    if scheme in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS)
        headers = {"Accept-Encoding": "identity"}
        return {"client_kwargs": {"timeout": timeout, "trust_env": True, "headers": headers}}
    if scheme in ("s3", "s3a"):
        retries = {"mode": "standard", "max_attempts": 3}
        timeouts = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS}
        return {"config_kwargs": {**timeouts, "retries": retries}}
    return {}


def _info(system: Any, path: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = system.info(path)
    except FileNotFoundError as error:
        # Over http every failure arrives as "not found"; its cause tells a missing file from a missing host.
        cause = error.__cause__
        if cause is not None and getattr(cause, "status", 404) != 404:
            raise OSError(str(cause)) from error
        if isinstance(cause, (OSError, TimeoutError)):
            raise cause from None
        raise
    return found


def _stamp(information: dict[str, Any]) -> str:
    return next((str(information[name]) for name in _STAMPS if information.get(name)), "")
