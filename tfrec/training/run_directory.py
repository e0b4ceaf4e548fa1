"""Layout of a run directory and the rules for writing into one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tfrec.errors import DataError
from tfrec.files import atomic_write, write_json
from tfrec.training.output_directory import OutputDirectory

_MARKER = ".tfrec-run"
"""Marks a directory that `--overwrite` may remove."""


class RunDirectory:
    """Where one training run keeps everything it needs to be evaluated, resumed and explained.

    Holds `config.yaml` (effective), `manifest.json` (commit, data, seeds, versions, machine), `metrics.json`,
    `evaluation.json` (all that was measured), `history.csv`, `checkpoints/` and `tensorboard/`; with early stopping
    `best/`, the weights of the best epoch; where models are told more of items than their ids `given/`, those
    tables, once; for models that read semantic ids `semantic_ids.json`, the use of their codes; with the synthetic
    clickstream `dataset/`.

    Args:
        path: The directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._output = OutputDirectory(self.path, "run", marker=_MARKER, begun=self.config.name)

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
    def given(self) -> Path:
        return self.path / "given"

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
    def semantic_ids(self) -> Path:
        return self.path / "semantic_ids.json"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def dataset(self) -> Path:
        return self.path / "dataset"

    def prepare(self, *, overwrite: bool, resume: bool) -> None:
        """Makes the directory ready for a run, as `OutputDirectory.prepare`."""
        self._output.prepare(overwrite=overwrite, resume=resume)

    def check(self, *, overwrite: bool, resume: bool) -> None:
        """Checks that a run may be written here, as `OutputDirectory.check`."""
        self._output.check(overwrite=overwrite, resume=resume)

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
