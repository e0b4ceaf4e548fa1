"""The settings that are searched together, and how many configurations they make."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tfrec.errors import ConfigError
from tfrec.tuning.parameter import Parameter

_MOST_BRANCHES = 100_000


@dataclass(frozen=True)
class SearchSpace:
    """What is searched for one model.

    Args:
        model: Registered model.
        parameters: Searched settings; one that depends on another comes after it.
        fixed: Settings of every trial by dotted key; below `--set` and above the preset.
        source: Where the space comes from, for messages.
    """

    model: str
    parameters: tuple[Parameter, ...]
    fixed: dict[str, Any] = field(default_factory=dict)
    source: str = "the space"

    def hyperparameters(self) -> Any:
        """Returns the space as `keras_tuner.HyperParameters` over codes (see `Parameter`)."""
        from keras_tuner import HyperParameters

        space = HyperParameters()
        known = {parameter.key: parameter for parameter in self.parameters}
        space.merge([_hyperparameter(parameter, known) for parameter in self.parameters])
        return space

    def decode(self, codes: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the settings of a trial by dotted key; what is not searched in it is absent.

        Args:
            codes: Values of a KerasTuner trial; names that are not of the space are passed over.
        """
        return {
            parameter.key: parameter.decode(codes[parameter.key])
            for parameter in self.parameters
            if parameter.key in codes
        }

    def combinations(self) -> int | None:
        """Returns the number of different configurations, or None where a setting has a continuum of values."""
        parents = [p for p in self.parameters if any(p.key in other.when for other in self.parameters)]
        if math.prod(parent.size or 1 for parent in parents) > _MOST_BRANCHES:
            return None
        total = 0
        for branch in self._branches(parents):
            sizes = [p.size for p in self.parameters if p not in parents and _active(p, branch)]
            if any(size is None for size in sizes):
                return None
            total += math.prod(size for size in sizes if size is not None)
        return total

    def grid(self) -> Iterator[dict[str, Any]]:
        """Yields the codes of every different configuration once; the setting that comes last changes fastest.

        A setting must have finitely many values, see `combinations`.
        """

        def below(
            rest: tuple[Parameter, ...], codes: dict[str, Any], values: dict[str, Any]
        ) -> Iterator[dict[str, Any]]:
            if not rest:
                yield codes
            elif not _active(rest[0], values):
                yield from below(rest[1:], codes, values)
            else:
                key = rest[0].key
                for code, value in rest[0].coded():
                    yield from below(rest[1:], {**codes, key: code}, {**values, key: value})

        yield from below(self.parameters, {}, {})

    def pinned(self, values: Mapping[str, Any]) -> SearchSpace:
        """Returns the space without the settings that the user has decided.

        Args:
            values: Values by dotted key. Settings that are searched only for other values of them go too.

        Raises:
            ConfigError: Nothing is left to search.
        """
        kept: list[Parameter] = []
        gone: set[str] = set()
        for parameter in self.parameters:
            decided = {key: values[key] for key in parameter.when if key in values}
            if parameter.key in values:
                continue
            if gone & parameter.when.keys() or not _active(replace(parameter, when=_part(parameter, decided)), decided):
                gone.add(parameter.key)
                continue
            kept.append(replace(parameter, when={k: v for k, v in parameter.when.items() if k not in values}))
        if not kept:
            raise ConfigError(
                f"Nothing is left to search in {self.source}.", remedy="Leave out `--set` for some of its settings."
            )
        fixed = {key: value for key, value in self.fixed.items() if key not in values}
        return replace(self, parameters=tuple(kept), fixed=fixed)

    def document(self) -> dict[str, Any]:
        """Returns the space as JSON, which decides the sequence of trials."""
        return {
            "model": self.model,
            "fixed": self.fixed,
            "space": {
                p.key: {**p.config.model_dump(mode="json", exclude_defaults=True), "when": _lists(p.when)}
                for p in self.parameters
            },
        }

    def _branches(self, parents: list[Parameter]) -> Iterator[dict[str, Any]]:
        """Yields the joint values of settings on which others depend, each once."""
        seen: list[dict[str, Any]] = []
        for values in itertools.product(*(parent.grid or (None,) for parent in parents)):
            branch: dict[str, Any] = {}
            for parent, value in zip(parents, values, strict=True):
                if _active(parent, branch):
                    branch[parent.key] = value
            if branch not in seen:
                seen.append(branch)
                yield branch


def _hyperparameter(parameter: Parameter, known: Mapping[str, Parameter]) -> Any:
    """Returns KerasTuner's object; conditions are set directly, because its scopes know chains of them only."""
    from keras_tuner.engine import hyperparameters
    from keras_tuner.src.engine.conditions import Parent

    config, grid = parameter.config, parameter.grid
    conditions = [Parent(key, known[key].codes(values)) for key, values in parameter.when.items()]
    if grid is not None:
        return hyperparameters.Choice(parameter.key, list(range(len(grid))), conditions=conditions)
    make = hyperparameters.Int if config.type == "int" else hyperparameters.Float
    number = int if config.type == "int" else float
    bounds = (number(config.min or 0), number(config.max or 0))
    return make(parameter.key, *bounds, sampling="log" if config.log else "linear", conditions=conditions)


def _active(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    return all(key in values and values[key] in allowed for key, allowed in parameter.when.items())


def _part(parameter: Parameter, decided: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {key: parameter.when[key] for key in decided}


def _lists(when: Mapping[str, tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {key: list(values) for key, values in when.items()}
