"""What decides a search."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfrec.config.load import Overlay, parse_assignment, read_yaml, run_config_class
from tfrec.config.run_config import RUN_CONFIGS, GradientRunConfig, ImpressionRunConfig, RunConfig, StagedRunConfig
from tfrec.config.strict_model import canonical_keys
from tfrec.errors import ConfigError
from tfrec.registry import model_class
from tfrec.training.model_store import run_config
from tfrec.tuning.objective import Objective
from tfrec.tuning.search_space import SearchSpace

_DEFAULT_TRIALS = 20
_FITTED = (GradientRunConfig, StagedRunConfig)
_DEFAULT_OBJECTIVE = "ndcg@10"
SEARCHERS = ("random", "bayesian", "hyperband", "grid")
SPLIT = "valid"
"""The split that trials are measured on; no other one is ever looked at."""


@dataclass(frozen=True)
class SearchSettings:
    """A search, apart from where it is written.

    Args:
        space: What is searched, and for which model. What `assignments` decide is taken out of it.
        searcher: `random`, `bayesian`, `hyperband` or `grid`.
        trials: Number of trials. Default: 20; with hyperband one pass, with grid all combinations.
        objective: Metric, for example `ndcg@10` or, of click models, `auc`. Default: what training monitors, else
            `ndcg@10`.
        seed: Seed of the proposals and of every trial.
        config_file: YAML file over the preset, for every trial and for the configuration that the winner is compared
            with.
        assignments: `key=value` texts over the file and over what the space fixes.
        max_epochs: Hyperband: epochs of the longest trials. Default: `training.epochs`.
        factor: Hyperband: of so many trials one goes on, for so many times the epochs.
        max_failures: The search stops after so many failed trials in a row.
        confirm_seeds: Number of fresh seeds for the winner and the default configuration; 0: no confirmation.
            A model without seeds is trained once.
    """

    space: SearchSpace
    searcher: str = "random"
    trials: int | None = None
    objective: str = ""
    seed: int = 42
    config_file: Path | None = None
    assignments: tuple[str, ...] = ()
    max_epochs: int | None = None
    factor: int = 3
    max_failures: int = 5
    confirm_seeds: int = 3
    decided: dict[str, Any] = field(init=False, default_factory=dict)
    goal: Objective = field(init=False, default_factory=lambda: Objective.parse(_DEFAULT_OBJECTIVE))

    def __post_init__(self) -> None:
        checks = [
            (self.searcher not in SEARCHERS, f"searcher `{self.searcher}`", f"one of {', '.join(SEARCHERS)}"),
            (self.trials is not None and self.trials < 1, f"trials `{self.trials}`", "at least 1"),
            (self.factor < 2, f"factor `{self.factor}`", "at least 2"),
            (self.max_failures < 1, f"max_failures `{self.max_failures}`", "at least 1"),
            (self.confirm_seeds < 0, f"confirm_seeds `{self.confirm_seeds}`", "at least 0"),
            (self.max_epochs is not None and self.max_epochs < 1, f"max_epochs `{self.max_epochs}`", "at least 1"),
        ]
        for broken, what, rule in checks:
            if broken:
                raise ConfigError(f"The search has the {what}.", remedy=f"It must be {rule}.")
        decided: dict[str, Any] = {}
        for text in self.assignments:
            decided |= flatten(self._canonical(parse_assignment(text), "`--set`"))
        object.__setattr__(self, "decided", decided)
        object.__setattr__(self, "space", self.space.pinned(decided))
        base = self._given([])
        monitored = base.training.monitor if isinstance(base, _FITTED) else _DEFAULT_OBJECTIVE
        goal = Objective.parse(self.objective or monitored, clicks=self.clicks)
        object.__setattr__(self, "goal", goal)
        if self.searcher == "grid" and self.space.combinations() is None:
            raise ConfigError(
                f"A grid needs a finite number of values for every setting, and {self.space.source} has ranges.",
                remedy="Give its ranges a `step`, or use another searcher.",
            )
        searched = any(parameter.key == "training.epochs" for parameter in self.space.parameters)
        if self.searcher == "hyperband" and (searched or not isinstance(base, GradientRunConfig)):
            problem = "decides `training.epochs` itself" if searched else f"needs epochs, and `{self.model}` has none"
            raise ConfigError(f"Hyperband {problem}.", remedy="Take it out of the space, or use another searcher.")

    @property
    def model(self) -> str:
        """Registered model."""
        return self.space.model

    @property
    def seeded(self) -> bool:
        """Whether seeds make a difference: models that only count give the same with every one."""
        return issubclass(self._run_class, _FITTED)

    @property
    def clicks(self) -> bool:
        """Whether the model is a click model, which reads impressions."""
        return issubclass(self._run_class, ImpressionRunConfig)

    @property
    def _run_class(self) -> type[RunConfig]:
        return RUN_CONFIGS[model_class(self.model).training_scheme]

    @property
    def longest(self) -> int:
        """Hyperband: epochs of the longest trials."""
        config = self.trial_config({})
        preset = config.training.epochs if isinstance(config, GradientRunConfig) else 1
        return self.max_epochs or preset

    @property
    def num_trials(self) -> int:
        """Number of trials of the whole search."""
        if self.trials is not None:
            return self.trials
        if self.searcher == "hyperband":
            from tfrec.tuning.oracle import hyperband_plan

            return sum(trials for trials, _ in hyperband_plan(self.longest, self.factor))
        return self.space.combinations() or 1 if self.searcher == "grid" else _DEFAULT_TRIALS

    def default_config(self, *, seed: int | None = None, data: str | None = None) -> RunConfig:
        """Returns the configuration without any searched value, measured as trials are."""
        return self._measured([], seed, data)

    def trial_config(self, values: Mapping[str, Any], *, seed: int | None = None, data: str | None = None) -> RunConfig:
        """Returns the configuration of a trial.

        Args:
            values: Searched values by dotted key.
            seed: Seed of the training. Default: that of the search.
            data: Dataset directory.

        Raises:
            ConfigError: The values contradict each other.
        """
        fixed = {key: value for key, value in self.space.fixed.items() if key not in values}
        return self._measured([("the trial", nested({**fixed, **values}))], seed, data)

    def overrides(self, values: Mapping[str, Any] | None) -> dict[str, Any]:
        """Returns all that makes a trial differ from the preset, as it stands in `best.yaml`.

        Data, seed and what the search adds for measuring are left out.

        Args:
            values: Searched values by dotted key; None for the default configuration, without what the space fixes.
        """
        flat: dict[str, Any] = {}
        if self.config_file is not None:
            flat |= flatten(self._canonical(read_yaml(self.config_file), f"`{self.config_file}`"))
        flat |= self.decided if values is None else {**self.space.fixed, **self.decided, **values}
        kept = {key: value for key, value in flat.items() if key != "seed" and not key.startswith("data.")}
        return nested({"model.name": self.model, **kept})

    def document(self) -> dict[str, Any]:
        """Returns what decides the sequence of trials, as JSON."""
        return {
            "model": self.model,
            "searcher": self.searcher,
            "objective": self.goal.name,
            "direction": self.goal.direction,
            "seed": self.seed,
            **({"max_epochs": self.longest, "factor": self.factor} if self.searcher == "hyperband" else {}),
            "space": self.space.document(),
            "default": self.default_config().model_dump(mode="json"),
        }

    def _given(self, overlays: list[Overlay]) -> RunConfig:
        said: list[Overlay] = [("`--set`", parse_assignment(text)) for text in self.assignments]
        return run_config(self.model, file=self.config_file, overlays=[*said, *overlays])

    def _measured(self, overlays: list[Overlay], seed: int | None, data: str | None) -> RunConfig:
        base = self._given(overlays)
        forced: dict[str, Any] = {"seed": self.seed if seed is None else seed, "evaluation": self._evaluation(base)}
        if data is not None:
            forced["data"] = {"path": data}
        if isinstance(base, _FITTED):
            forced["training"] = {"checkpoints_to_keep": 1}
            if isinstance(base, GradientRunConfig):
                forced["training"]["loss_trace"] = []
            with contextlib.suppress(ValidationError):  # not every loop can stop early by every metric
                type(base.training)(monitor=self.goal.monitor)
                forced["training"]["monitor"] = self.goal.monitor
        return self._given([*overlays, ("the search", forced)])

    def _evaluation(self, base: RunConfig) -> dict[str, Any]:
        """How trials are measured: on the validation split, and no more than the search needs."""
        if isinstance(base, ImpressionRunConfig):
            return {"split": SPLIT, "baselines": [], "slices": [], "bootstrap": 0}
        cutoffs = {*base.evaluation.cutoffs, *([self.goal.cutoff] if self.goal.cutoff is not None else [])}
        return {
            "split": SPLIT,
            "protocol": "full",
            "baselines": [],
            "parts": False,
            "details": False,
            "bootstrap": {"samples": 0},
            "cutoffs": sorted(cutoffs),
        }

    def _canonical(self, values: Mapping[str, Any], source: str) -> dict[str, Any]:
        cls = model_class(self.model)
        section = run_config_class(self.model, cls.config_class, training_scheme=cls.training_scheme)
        return canonical_keys(section, values, source=source)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns dotted keys as a nested mapping.

    Example:
        >>> nested({"a.b": 1, "a.c": 2})
        {'a': {'b': 1, 'c': 2}}
    """
    result: dict[str, Any] = {}
    for dotted, value in values.items():
        *path, name = dotted.split(".")
        level = result
        for part in path:
            level = level.setdefault(part, {})
        level[name] = value
    return result


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a nested mapping by dotted keys, the inverse of `nested`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
