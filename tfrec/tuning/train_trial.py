"""One trial: a training of tfrec like any other, measured on the validation split."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, cast

import keras
from rich.console import Console

from tfrec.config.load import dump_yaml
from tfrec.config.run_config import GradientRunConfig, RunConfig
from tfrec.errors import TrainingError
from tfrec.training.experiment import run_experiment
from tfrec.training.run_directory import RunDirectory
from tfrec.tuning.objective import Objective
from tfrec.tuning.search_settings import SPLIT
from tfrec.tuning.trial_log import TrialLog

Metrics = dict[str, float]
TrainTrial = Callable[[RunConfig, Path, Path | None, Callable[[str], None]], Metrics]
"""Configuration, run directory, run directory of the training to continue, listener to progress: metrics of `valid`."""


def train_trial(config: RunConfig, folder: Path, continued: Path | None, listen: Callable[[str], None]) -> Metrics:
    """Trains and measures one configuration, or goes on where an interrupted process left it.

    Args:
        config: Configuration of the trial.
        folder: Run directory; its console output goes to `<folder>.log`.
        continued: Run directory of a shorter training of the same configuration, whose epochs are taken over.
        listen: Called with every line of output.

    Returns:
        The metrics on the validation split, those that are numbers.

    Raises:
        TfrecError: As `run_experiment` does.
    """
    run = RunDirectory(folder)
    resume = run.config.is_file() and run.config.read_text(encoding="utf-8") == dump_yaml(config)
    if not resume and continued is not None and can_continue(config):
        _take_over(RunDirectory(continued), run, config)
        resume = True
    keras.backend.clear_session()  # hundreds of models in one process
    with TrialLog(folder.with_name(f"{folder.name}.log"), listen, append=resume) as log:
        console = Console(file=cast(TextIO, log), force_terminal=False, width=120, highlight=False)
        document = run_experiment(config, folder, console, overwrite=not resume, resume=resume, report=False)
    measured = {**document[SPLIT], **document.get("users", {})}
    return {
        name: value
        for name, value in measured.items()
        if isinstance(value, float) and math.isfinite(value) and name != "seconds"
    }


def objective_of(metrics: Metrics, objective: Objective) -> float:
    """Returns the objective among metrics.

    Raises:
        TrainingError: It is not a number, or not measured for this model.
    """
    score = objective.of(metrics)
    if not math.isfinite(score):
        names = ", ".join(f"`{name}`" for name in metrics)
        raise TrainingError(f"The objective `{objective.name}` is not a number, or not measured (there are {names}).")
    return score


def can_continue(config: RunConfig) -> bool:
    """Whether a longer training begins exactly like a shorter one, so that it may go on from its end.

    It does not where the course of the step size depends on the number of epochs.
    """
    return isinstance(config, GradientRunConfig) and getattr(config.optimizer, "schedule", "constant") == "constant"


def _take_over(source: RunDirectory, run: RunDirectory, config: RunConfig) -> None:
    """Makes `run` look like an interrupted training of `config`, renamed into place when whole."""
    partial = RunDirectory(run.path.with_name(f".{run.path.name}.partial"))
    for folder in (partial.path, run.path):
        shutil.rmtree(folder, ignore_errors=True)
    partial.path.mkdir(parents=True)
    for folder in (source.checkpoints, source.best):
        if folder.is_dir():
            shutil.copytree(folder, partial.path / folder.name)
    with contextlib.suppress(FileNotFoundError):
        shutil.copy(source.history, partial.history)
    partial.write_config(dump_yaml(config))
    partial.path.rename(run.path)


def describe(values: dict[str, Any]) -> str:
    """Returns the settings of a trial in one line, by the last part of their keys."""
    return ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in values.items())
