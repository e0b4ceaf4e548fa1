"""A search with the face of a KerasTuner tuner, for the Tuner component of TFX."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from rich.console import Console

from tfrec.tuning.best_config import best_values
from tfrec.tuning.confirmation import DEFAULT
from tfrec.tuning.search import run_search
from tfrec.tuning.search_directory import SearchDirectory
from tfrec.tuning.search_settings import SearchSettings
from tfrec.tuning.trial_record import TrialRecord
from tfrec.tuning.trial_tables import ranked_trials

DIRECTORY = "tuner/directory"
"""Name among the hyper-parameters that is no setting: where the search and its report are."""


class PipelineTuner:
    """Runs `run_search` when TFX calls `search`, and hands out hyper-parameters that are configuration keys.

    The values of `get_best_hyperparameters()[0].get_config()["values"]` are settings by dotted key, as they stand in a
    configuration: lists are lists, and what the space fixes is among them. `tuner/directory` says where the search is.

    Args:
        settings: What is searched and how.
        folder: Directory of the search; a search that was interrupted there goes on.
        data: Dataset directory.
        console: For progress and tables.

    Attributes:
        tuner_id: Asked for by TFX.
        oracle: `max_trials`, and `get_best_trials` with the same values; asked for by TFX.
    """

    def __init__(self, settings: SearchSettings, folder: Path, data: str, console: Console) -> None:
        self.settings = settings
        self.folder = SearchDirectory(folder)
        self.data = data
        self.console = console
        self.tuner_id = "tfrec"
        self.oracle = SimpleNamespace(max_trials=settings.num_trials, get_best_trials=self._best_trials)

    def search(self) -> None:
        """Searches; the errors are those of `run_search`."""
        resume = self.folder.search.is_file()
        run_search(self.settings, self.folder.path, self.console, data=self.data, resume=resume)

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[Any]:
        """Returns the settings of the best completed trials, best first; none where the default configuration won."""
        best = self.folder.read(self.folder.search).get("best", {})
        if best.get("offered") == DEFAULT:
            default = keras_tuner.HyperParameters()
            default.values = {DIRECTORY: str(self.folder.path)}
            return [default]
        return [trial.hyperparameters for trial in self._best_trials(num_trials) if trial.score is not None]

    def search_space_summary(self) -> None:
        """Prints the space."""
        for parameter in self.settings.space.parameters:
            self.console.print(f"{parameter.key}: {parameter.text}", markup=False)

    def results_summary(self) -> None:
        """Prints nothing: the search has printed its table."""

    def _best_trials(self, num_trials: int = 1) -> list[Any]:
        ranked = ranked_trials(self.folder.read_trials(), self.settings.goal)
        return [self._trial(record) for record in ranked[:num_trials]]

    def _trial(self, record: TrialRecord) -> Any:
        values = {**self.settings.space.fixed, **best_values(record), DIRECTORY: str(self.folder.path)}
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = values
        status = TrialStatus.COMPLETED if record.score is not None else TrialStatus.FAILED
        trial = Trial(hyperparameters, trial_id=record.name, status=status, message=record.reason)
        trial.score = record.score
        return trial
