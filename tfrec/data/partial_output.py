"""The directory a conversion writes to until it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tfrec.data.manifest import MANIFEST_NAME
from tfrec.data.remote_paths import UnreachableError
from tfrec.data.work_database import OutOfSpaceError, locked
from tfrec.errors import DataError

_WORK = "work"
_MARK = "conversion.fingerprint"


class OutputOptions(Protocol):
    """What the options of every conversion have."""

    @property
    def output(self) -> str:
        """Dataset directory to write."""

    @property
    def overwrite(self) -> bool:
        """Whether an existing dataset may be replaced."""

    @property
    def resume(self) -> bool:
        """Whether an interrupted conversion is continued."""


class PartialOutput:
    """`OUTPUT.partial`: removed after an error, renamed when whole.

    It is kept for `--resume` after an interruption, lack of space or a connection that broke off.

    A mark in it holds the fingerprint of the conversion until the dataset gets its name, so that only the same
    conversion continues it, and a directory without a mark is nobody's but the user's. Next to the directory instead of
    in it, the mark survives the last step: `OUTPUT.partial.fingerprint` is there only while `finish` runs.

    Args:
        options: `output`, `overwrite` and `resume` are used.
        fingerprint: Text that is equal for conversions that may continue one another.

    Raises:
        DataError: The output exists and may not be replaced, or `OUTPUT.partial` is not of a conversion.
    """

    def __init__(self, options: OutputOptions, fingerprint: str) -> None:
        self.output = Path(options.output)
        self.partial = _partial(self.output)
        self._mark = self.partial / _MARK
        self._last_mark = _last_mark(self.partial)
        self._resume = options.resume
        self._fingerprint = fingerprint
        check_output(self.output, options.overwrite)

    @contextmanager
    def open(self) -> Iterator[tuple[Path, bool]]:
        """Context with the directory to write to, and whether everything in it is already there.

        Raises:
            DataError: Another conversion writes to it, or `resume` was asked for and it belongs to other input or
                options.
        """
        if not self.partial.exists():
            self._last_mark.unlink(missing_ok=True)
        work = self.partial / _WORK
        work.mkdir(parents=True, exist_ok=True)
        with locked(work):
            finished = self._prepare(work)
            try:
                yield self.partial, finished
            except (OutOfSpaceError, UnreachableError):
                raise
            except DataError:
                shutil.rmtree(self.partial, ignore_errors=True)
                raise

    def finish(self) -> Path:
        """Removes the work directory and gives the dataset its name; an older one is replaced."""
        shutil.rmtree(self.partial / _WORK, ignore_errors=True)
        old = self.output.with_name(self.output.name + ".old")
        if self.output.exists():
            shutil.rmtree(old, ignore_errors=True)
            self.output.rename(old)
        if self._mark.exists():
            self._mark.rename(self._last_mark)
        self.partial.rename(self.output)
        self._last_mark.unlink(missing_ok=True)
        shutil.rmtree(old, ignore_errors=True)
        return self.output

    def _prepare(self, work: Path) -> bool:
        mark = self._last_mark if self._last_mark.exists() else self._mark
        if self._resume and mark.exists():
            if mark.read_text() != self._fingerprint:
                raise DataError(
                    "What was interrupted here had other input files or options.",
                    file=self.partial,
                    remedy="Repeat its options, or run without --resume to start afresh.",
                )
            return (self.partial / MANIFEST_NAME).exists()
        self._write_mark("started afresh")  # continues nothing until the old files are gone
        self._last_mark.unlink(missing_ok=True)
        for path in self.partial.iterdir():
            if path not in (work, self._mark):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in work.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._write_mark(self._fingerprint)
        return False

    def _write_mark(self, text: str) -> None:
        temporary = self.partial / _WORK / f"{_MARK}.tmp"
        temporary.write_text(text)
        temporary.rename(self._mark)


def check_output(output: Path, overwrite: bool) -> None:
    """Raises DataError when the output exists and may not be replaced, or `OUTPUT.partial` is not of a conversion."""
    partial = _partial(output)
    if partial.exists() and not _is_ours(partial):
        raise DataError(
            "The conversion would write here until it is whole, but this was not made by an unfinished conversion; it "
            "is left alone.",
            file=partial,
            remedy="Choose another --output, or move it away yourself.",
        )
    if not output.exists():
        return
    if not overwrite:
        raise DataError(
            "The output directory exists.", file=output, remedy="Choose another --output, or pass --overwrite."
        )
    if not output.is_dir() or (any(output.iterdir()) and not (output / MANIFEST_NAME).exists()):
        raise DataError(
            "The output exists and is not a dataset directory; it is not overwritten.",
            file=output,
            remedy="Choose another --output, or remove it yourself.",
        )


def _partial(output: Path) -> Path:
    return output.with_name(output.name + ".partial")


def _last_mark(partial: Path) -> Path:
    return partial.with_name(partial.name + ".fingerprint")


def _is_ours(partial: Path) -> bool:
    """Whether a directory is empty, marked by a conversion, or left by one that ended before it could mark it."""
    if not partial.is_dir():
        return False
    if (partial / _MARK).exists() or _last_mark(partial).exists():
        return True
    unmarked = {_WORK, f"{_WORK}/lock", f"{_WORK}/{_MARK}.tmp"}
    return all(path.relative_to(partial).as_posix() in unmarked for path in partial.rglob("*"))
