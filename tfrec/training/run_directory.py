"""Layout of a run directory and the rules for writing into one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tfrec.errors import ConfigError, DataError
from tfrec.files import atomic_write, write_json

_MARKER = ".tfrec-run"
"""Marks a directory that `--overwrite` may remove."""


class RunDirectory:
    """Where one training run keeps everything it needs to be evaluated, resumed and explained.

    Holds `config.yaml` (effective), `manifest.json` (commit, data, seeds, versions, machine), `metrics.json`,
    `evaluation.json` (all that was measured), `history.csv`, `checkpoints/` and `tensorboard/`; with early stopping
    `best/`, the weights of the best epoch; with the synthetic clickstream `dataset/`.

    Args:
        path: The directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.json"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.partial"

    @property
    def evaluation_document(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def dataset(self) -> Path:
        return self.path / "dataset"

    def prepare(self, *, overwrite: bool, resume: bool) -> None:
        """Makes the directory ready for a run; the arguments and errors are those of `check`."""
        self.check(overwrite=overwrite, resume=resume)
        if overwrite and self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / _MARKER).touch()

    def check(self, *, overwrite: bool, resume: bool) -> None:
        """Checks that a run may be written here, and writes nothing.

        Args:
            overwrite: Remove an earlier run.
            resume: Keep an earlier run that is to be continued.

        Raises:
            ConfigError: There is a run and neither flag is given, there is something else than a run, both flags are
                given, or there is nothing to resume.
        """
        if overwrite and resume:
            raise ConfigError("`--overwrite` and `--resume` exclude each other.")
        if resume and not self.config.is_file():
            raise ConfigError(f"There is no run to resume in `{self.path}`.", remedy="Start it without `--resume`.")
        occupied = self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir()))
        is_run = (self.path / _MARKER).is_file()
        if occupied and not resume and not (overwrite and is_run):
            remedy = "Pass --overwrite to replace it, --resume to continue it, or another --output."
            if not is_run:
                remedy = "It is not a run of tfrec, so it is left alone: pass another --output."
            raise ConfigError(f"The output directory `{self.path}` is not empty.", remedy=remedy)

    def write_config(self, text: str) -> None:
        """Writes `config.yaml` atomically."""
        with atomic_write(self.config) as file:
            file.write(text)

    def read_json(self, path: Path) -> dict[str, Any]:
        """Reads one of the JSON files.

        Raises:
            DataError: The file is missing or damaged.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(
                "Not a run directory: the file is missing.", file=path, remedy="Pass the `--output` of a training run."
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(f"The file cannot be read: {error}", file=path, remedy="Train again.") from error
        if not isinstance(document, dict):
            raise DataError("The file does not hold a JSON object.", file=path, remedy="Train again.")
        return document

    def write_json(self, path: Path, document: dict[str, Any]) -> None:
        """Writes one of the JSON files atomically."""
        write_json(path, document)
