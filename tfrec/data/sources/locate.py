"""Where the files of a public data set are: a directory, a zip file, or the owner's address."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tfrec.data.sources.archive import Archive, extract
from tfrec.data.sources.public_dataset import PublicDataset
from tfrec.errors import ConfigError, DataError


def locate(
    dataset: PublicDataset,
    given: str | None,
    scratch: Path,
    *,
    download: bool = True,
    announce: Callable[[str], None] = lambda text: None,
) -> Path:
    """Returns a directory with the files of a data set.

    Looked for are, in this order: what the user names; the directory of its name in that of `TFREC_DATA`; what was
    downloaded before (`tfrec/NAME` in `XDG_CACHE_HOME`, by default `~/.cache`); the owner's address, where there is one
    that asks no questions. A zip file is unpacked to `scratch`, only the members that are known.

    Args:
        dataset: What to look for.
        given: A directory or a zip file; None = look for it.
        scratch: An empty directory for what is unpacked.
        download: Whether it may be downloaded.
        announce: Called with a line about a download before it begins.

    Raises:
        ConfigError: There is no place to look in.
        DataError: No such path, a damaged archive or one with another checksum.
        UnreachableError: The owner's host does not answer.
    """
    if given is not None:
        return _unpacked(dataset, Path(given), scratch)
    root = os.environ.get("TFREC_DATA")
    if root is not None and ((Path(root) / dataset.name).is_dir() or dataset.archive is None):
        return _unpacked(dataset, Path(root) / dataset.name, scratch)
    archive = dataset.archive
    if archive is None:
        raise ConfigError(
            "`--from` is missing.",
            remedy=f"Pass the directory with {' or '.join(dataset.file_names)}. {dataset.where}",
        )
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tfrec" / dataset.name
    return _fetched(archive, dataset, folder, scratch, download=download, announce=announce)


def _fetched(
    archive: Archive,
    dataset: PublicDataset,
    folder: Path,
    scratch: Path,
    *,
    download: bool,
    announce: Callable[[str], None],
) -> Path:
    if not (folder / archive.name).exists():
        if not download:
            raise ConfigError(
                f"Nothing to read: `{archive.name}` is not in `{folder}` and --dry-run downloads nothing.",
                remedy=f"Run without --dry-run, or pass --from DIR. {dataset.where}",
            )
        announce(f"Downloading {archive.url} to {folder}. Terms: {dataset.terms}.")
    _extract(archive.fetch(folder), dataset, scratch)
    return scratch


def _unpacked(dataset: PublicDataset, path: Path, scratch: Path) -> Path:
    """The directory itself, or what is in the zip file that it is or, when nothing else is there, holds."""
    if path.is_file():
        if path.suffix.lower() != ".zip":
            raise DataError(
                "Neither a directory nor a zip file.",
                file=path,
                remedy=f"Pass the directory with {' or '.join(dataset.file_names)}.",
            )
        _extract(path, dataset, scratch)
        return scratch
    archive = dataset.archive
    if archive is not None and not dataset.has_files(path) and (path / archive.name).is_file():
        _extract(path / archive.name, dataset, scratch)
        return scratch
    return path


def _extract(path: Path, dataset: PublicDataset, scratch: Path) -> None:
    extract(path, (file.name for files in (*dataset.file_sets, *dataset.item_sets) for file in files.files), scratch)
