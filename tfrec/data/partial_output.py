"""The directory a conversion writes to until it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.manifest import MANIFEST_NAME
from tfrec.data.work_database import OutOfSpaceError, locked
from tfrec.errors import DataError

_FINGERPRINT = "fingerprint.json"


class PartialOutput:
    """`OUTPUT.partial`: kept after an interruption or lack of space for `--resume`, removed after an error, renamed
    when whole.

    Args:
        options: `output`, `overwrite` and `resume` are used.
        fingerprint: Text that is equal for conversions that may continue one another.

    Raises:
        DataError: The output exists and may not be replaced.
    """

    def __init__(self, options: ConversionOptions, fingerprint: str) -> None:
        self.output = Path(options.output)
        self.partial = self.output.with_name(self.output.name + ".partial")
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
        work = self.partial / "work"
        work.mkdir(parents=True, exist_ok=True)
        with locked(work):
            finished = self._prepare(work)
            try:
                yield self.partial, finished
            except OutOfSpaceError:
                raise
            except DataError:
                shutil.rmtree(self.partial, ignore_errors=True)
                raise

    def finish(self) -> Path:
        """Removes the work directory and gives the dataset its name; an older one is replaced."""
        shutil.rmtree(self.partial / "work", ignore_errors=True)
        old = self.output.with_name(self.output.name + ".old")
        if self.output.exists():
            shutil.rmtree(old, ignore_errors=True)
            self.output.rename(old)
        self.partial.rename(self.output)
        shutil.rmtree(old, ignore_errors=True)
        return self.output

    def _prepare(self, work: Path) -> bool:
        mark = work / _FINGERPRINT
        whole = (self.partial / MANIFEST_NAME).exists()
        if self._resume and whole and not mark.exists():
            return True
        if self._resume and mark.exists():
            if mark.read_text() != self._fingerprint:
                raise DataError(
                    "What was interrupted here had other input files or options.",
                    file=self.partial,
                    remedy="Repeat its options, or run without --resume to start afresh.",
                )
            return whole
        for path in self.partial.iterdir():
            if path != work:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in work.iterdir():
            if path.name != "lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        mark.write_text(self._fingerprint)
        return False


def check_output(output: Path, overwrite: bool) -> None:
    """Raises DataError when the output exists and may not be replaced."""
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
