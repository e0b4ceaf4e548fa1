"""When a command may write into a directory: never over what it did not make, over its own only if asked."""

from __future__ import annotations

import shutil
from pathlib import Path

from tfrec.errors import ConfigError


class OutputDirectory:
    """A directory that one kind of output is written to.

    Args:
        path: The directory.
        kind: What is in it, for errors: `run`, `search`.
        marker: Name of the file that marks a directory which `--overwrite` may remove.
        begun: Name of the file without which there is nothing to resume.
    """

    def __init__(self, path: Path, kind: str, *, marker: str, begun: str) -> None:
        self._path = path
        self._kind = kind
        self._marker = path / marker
        self._begun = path / begun

    def check(self, *, overwrite: bool, resume: bool) -> None:
        """Checks that it may be written to, and writes nothing.

        Args:
            overwrite: Remove what was written there earlier.
            resume: Keep what was begun and is to be continued.

        Raises:
            ConfigError: There is such an output and neither flag is given, there is something else, both flags are
                given, or there is nothing to resume.
        """
        if overwrite and resume:
            raise ConfigError("`--overwrite` and `--resume` exclude each other.")
        if resume and not self._begun.is_file():
            raise ConfigError(
                f"There is no {self._kind} to resume in `{self._path}`.", remedy="Start it without `--resume`."
            )
        occupied = self._path.exists() and (not self._path.is_dir() or any(self._path.iterdir()))
        ours = self._marker.is_file()
        if occupied and not resume and not (overwrite and ours):
            remedy = "Pass --overwrite to replace it, --resume to continue it, or another --output."
            if not ours:
                remedy = f"It is not a {self._kind} of tfrec, so it is left alone: pass another --output."
            raise ConfigError(f"The output directory `{self._path}` is not empty.", remedy=remedy)

    def prepare(self, *, overwrite: bool, resume: bool) -> None:
        """Makes the directory ready; the arguments and errors are those of `check`."""
        self.check(overwrite=overwrite, resume=resume)
        if overwrite and self._path.exists():
            shutil.rmtree(self._path)
        self._path.mkdir(parents=True, exist_ok=True)
        self._marker.touch()
