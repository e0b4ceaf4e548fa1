"""Layout of the output of a search."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfrec.errors import ConfigError, DataError
from tfrec.files import write_json
from tfrec.training.run_directory import RunDirectory
from tfrec.tuning.trial_record import TrialRecord

_MARKER = ".tfrec-tune"
_FORMAT_VERSION = 1


class SearchDirectory:
    """Where a search keeps its trials.

    Holds `search.json` (what decides the search, and provenance), `trials.json` (the journal, rewritten atomically
    whenever a trial begins or ends), `trials.csv`, `trials/NNNN/` (a run directory each, with `NNNN.log` beside it),
    `confirm/` (runs of the winner and the default configuration), `confirm.json`, `best.yaml` and `report.html`;
    without `--data` also `dataset/`.

    Args:
        path: The directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.search = self.path / "search.json"
        self.journal = self.path / "trials.json"
        self.table = self.path / "trials.csv"
        self.trials = self.path / "trials"
        self.confirmation = self.path / "confirm.json"
        self.confirmed = self.path / "confirm"
        self.best = self.path / "best.yaml"
        self.report = self.path / "report.html"
        self.dataset = self.path / "dataset"

    def check(self, *, overwrite: bool, resume: bool) -> None:
        """Checks that a search may be written here, and writes nothing.

        Raises:
            ConfigError: There is a search and neither flag is given, there is something else, both flags are given, or
                there is nothing to resume.
        """
        if overwrite and resume:
            raise ConfigError("`--overwrite` and `--resume` exclude each other.")
        if resume and not self.search.is_file():
            raise ConfigError(f"There is no search to resume in `{self.path}`.", remedy="Start it without `--resume`.")
        occupied = self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir()))
        ours = (self.path / _MARKER).is_file()
        if occupied and not resume and not (overwrite and ours):
            remedy = "Pass --overwrite to replace it, --resume to continue it, or another --output."
            if not ours:
                remedy = "It is not a search of tfrec, so it is left alone: pass another --output."
            raise ConfigError(f"The output directory `{self.path}` is not empty.", remedy=remedy)

    def prepare(self, *, overwrite: bool, resume: bool) -> None:
        """Makes the directory ready; the arguments and errors are those of `check`."""
        self.check(overwrite=overwrite, resume=resume)
        if overwrite and self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / _MARKER).touch()
        self.trials.mkdir(exist_ok=True)

    def run(self, record: TrialRecord) -> RunDirectory:
        """Returns the run directory of a trial."""
        return RunDirectory(self.trials / record.name)

    def write_trials(self, records: Sequence[TrialRecord]) -> None:
        """Writes the journal atomically."""
        trials = [record.document() for record in records]
        write_json(self.journal, {"format_version": _FORMAT_VERSION, "trials": trials})

    def read_trials(self) -> list[TrialRecord]:
        """Reads the journal; empty when no trial has begun."""
        if not self.journal.is_file():
            return []
        return [TrialRecord.from_document(trial) for trial in self.read(self.journal)["trials"]]

    def read(self, path: Path) -> dict[str, Any]:
        """Reads one of the JSON files.

        Raises:
            DataError: The file is missing or damaged.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"The file cannot be read: {error}", file=path, remedy="Start a new search.") from error
        if not isinstance(document, dict):
            raise DataError("The file does not hold a JSON object.", file=path, remedy="Start a new search.")
        return document

    def prune(self, records: Iterable[TrialRecord]) -> None:
        """Removes the weights of trials that have ended; their metrics, histories and logs stay."""
        for record in records:
            run = self.run(record)
            for folder in (run.checkpoints, run.best, run.tensorboard):
                shutil.rmtree(folder, ignore_errors=True)
