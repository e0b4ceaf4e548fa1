"""KerasTuner's searchers, made repeatable: one seed gives one sequence of trials, interrupted or not."""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import keras_tuner
import numpy as np

from tfrec.errors import ConfigError
from tfrec.seeds import derive_seed
from tfrec.tuning.objective import Objective
from tfrec.tuning.search_space import SearchSpace
from tfrec.tuning.trial_record import TrialRecord

_TUNER = "tfrec"
# Variance of the scores' noise in units of their spread: seeds move a score by about a tenth of what settings do.
_SCORE_NOISE = 1e-2


class TrialOracle:
    """Proposes trials and learns of their outcome.

    KerasTuner's own state files are not used: they are not written atomically, and the acquisition of its Bayesian
    searcher draws from a stream that they do not hold. Instead the trials that have ended are told to a new searcher
    in their order, which then stands where the old one stood.

    Args:
        searcher: `random`, `bayesian` (Gaussian process, upper confidence bound), `hyperband` or `grid` (every
            configuration of the space, in order).
        space: What is searched.
        objective: What is improved.
        seed: Seed of the proposals.
        max_epochs: Hyperband: epochs of the longest trials.
        factor: Hyperband: of so many trials one is trained on, for so many times the epochs.

    Raises:
        ConfigError: The Bayesian searcher lacks scikit-learn.
    """

    def __init__(
        self,
        searcher: str,
        space: SearchSpace,
        objective: Objective,
        seed: int,
        *,
        max_epochs: int = 10,
        factor: int = 3,
    ) -> None:
        self.searcher = searcher
        self.space = space
        self.objective = objective
        shared: dict[str, Any] = {
            "objective": keras_tuner.Objective(objective.name, objective.direction),
            "hyperparameters": space.hyperparameters(),
            # KerasTuner takes 0 for no seed, and numbers the streams of one search from its seed on.
            "seed": derive_seed(seed, "search") or 1,
            "max_consecutive_failed_trials": sys.maxsize,  # failures are counted by the search
        }
        if searcher == "random":
            self._oracle: Any = _Random(**shared)
            self._oracle.max_trials = None
        elif searcher == "grid":
            self._oracle = _Grid(space.grid(), **shared)
        elif searcher == "bayesian":
            points = max(4, len(space.parameters) + 1)
            try:
                self._oracle = _Bayesian(**shared, max_trials=None, num_initial_points=points, alpha=_SCORE_NOISE)
            except ImportError as error:
                raise ConfigError(
                    "The Bayesian searcher needs scikit-learn, which is not installed.",
                    remedy="Install `keras-tuner[bayesian]`, or pass `--searcher random`.",
                ) from error
        else:
            self._oracle = _Hyperband(**shared, max_epochs=max_epochs, factor=factor, hyperband_iterations=None)
        self._oracle.verbose = 0

    def propose(self) -> TrialRecord | None:
        """Returns the next trial, or None when the space is exhausted."""
        trial = self._oracle.create_trial(_TUNER)
        if trial.status != "RUNNING":
            return None
        codes = dict(trial.hyperparameters.values)
        epochs = codes.get("tuner/epochs")
        earlier = codes.get("tuner/trial_id")
        return TrialRecord(
            number=int(trial.trial_id),
            values=self.space.decode(codes),
            codes=codes,
            random_state=self._oracle._seed_state,
            epochs=None if epochs is None else int(epochs),
            continued_from=None if earlier is None else int(earlier),
        )

    def tell(self, record: TrialRecord) -> None:
        """Learns how the proposed trial ended."""
        trial = self._oracle.trials[f"{record.number:04d}"]
        if record.status == "completed":
            self._oracle.update_trial(trial.trial_id, {self.objective.name: record.score}, step=record.epochs or 0)
        trial.status = "COMPLETED" if record.status == "completed" else "FAILED"
        trial.message = record.reason
        self._oracle.end_trial(trial)

    def replay(self, record: TrialRecord) -> None:
        """Takes over a trial that has ended, as if it had been proposed and told.

        Raises:
            ConfigError: The searcher would have proposed another trial.
        """
        if isinstance(self._oracle, _Bayesian):
            self._oracle.decided = dict(record.codes)
        again = self.propose()
        if isinstance(self._oracle, _Bayesian):
            self._oracle._seed_state = record.random_state
            self._oracle.decided = None
        if again is None or again.codes != record.codes or again.number != record.number:
            raise ConfigError(
                f"Trial {record.number} is not the one that this search would make.",
                remedy="It was made by another version of tfrec or KerasTuner: start a new search.",
            )
        self.tell(record)


def hyperband_plan(max_epochs: int, factor: int) -> list[tuple[int, int]]:
    """Returns the rounds of one pass of Hyperband, as numbers of trials and the epochs that each is trained to."""
    oracle = _Hyperband(max_epochs=max_epochs, factor=factor)
    brackets = reversed(range(oracle._get_num_brackets()))
    return [
        (oracle._get_size(bracket, stage), oracle._get_epochs(bracket, stage))
        for bracket in brackets
        for stage in range(oracle._get_num_rounds(bracket))
    ]


class _InMemory:
    """Leaves KerasTuner's files unwritten."""

    def save(self) -> None:
        """Writes nothing."""

    def _save_trial(self, _trial: Any) -> None:
        """Writes nothing."""


class _Random(_InMemory, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Grid(_InMemory, keras_tuner.Oracle):
    """The configurations in the order of the space: KerasTuner's own grid makes values of ranges up."""

    def __init__(self, grid: Iterator[dict[str, Any]], **settings: Any) -> None:
        super().__init__(**settings)
        self._grid = grid

    def populate_space(self, _trial_id: str) -> dict[str, Any]:
        codes = next(self._grid, None)
        return {"status": "STOPPED" if codes is None else "RUNNING", "values": codes}


class _Hyperband(_InMemory, keras_tuner.oracles.HyperbandOracle):
    def __init__(self, hyperband_iterations: int | None = 1, **settings: Any) -> None:
        super().__init__(hyperband_iterations=hyperband_iterations or math.inf, **settings)


class _Bayesian(_InMemory, keras_tuner.oracles.BayesianOptimizationOracle):
    """Draws from a stream per trial, so that a continued search needs no state but its trials; repeats nothing."""

    decided: dict[str, Any] | None = None

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if self.decided is not None:
            return {"status": "RUNNING", "values": self.decided}
        self._random_state = np.random.RandomState(derive_seed(self.seed, "acquisition", int(trial_id)))
        threads = importlib.import_module("threadpoolctl")  # comes with scikit-learn
        # Matrices of some tens of rows: threads only wait for each other, and sums depend on their number.
        with warnings.catch_warnings(), threads.threadpool_limits(limits=1):
            warnings.simplefilter("ignore")  # scikit-learn's, about length scales at their bounds
            proposal: dict[str, Any] = super().populate_space(trial_id)
        if proposal["values"] is not None and self._duplicate(proposal["values"]):
            proposal = self._random_populate_space()
        return proposal
