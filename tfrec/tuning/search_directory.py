"""Layout of the output of a search."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tfrec.errors import DataError
from tfrec.files import write_json
from tfrec.training.output_directory import OutputDirectory
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
        self._output = OutputDirectory(self.path, "search", marker=_MARKER, begun=self.search.name)

    def check(self, *, overwrite: bool, resume: bool) -> None:
        """Checks that a search may be written here, as `OutputDirectory.check`."""
        self._output.check(overwrite=overwrite, resume=resume)

    def prepare(self, *, overwrite: bool, resume: bool) -> None:
        """Makes the directory ready for a search, as `OutputDirectory.prepare`."""
        self._output.prepare(overwrite=overwrite, resume=resume)
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
            for folder in (run.checkpoints, run.best, run.given, run.tensorboard):
                shutil.rmtree(folder, ignore_errors=True)
