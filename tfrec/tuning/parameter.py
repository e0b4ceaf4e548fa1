"""One searched setting: its values, and when it matters."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field, model_validator

from tfrec.config.strict_model import StrictModel

_SLACK = 1e-9  # of a step: the largest value belongs to the grid whatever the rounding of its multiples
_LARGEST_GRID = 10_000


class ParameterConfig(StrictModel):
    """A searched setting as it is written in the file of a space."""

    type: Literal["int", "float", "choice", "boolean"] = Field(description="Kind of values.")
    min: float | None = Field(None, description="Smallest value of int and float.")
    max: float | None = Field(None, description="Largest value of int and float; belongs to the space.")
    step: float | None = Field(None, gt=0, description="Distance of neighbours; with log: their ratio.")
    log: bool = Field(False, description="Equal ratios are equally likely, instead of equal differences.")
    values: list[Any] | None = Field(None, min_length=1, description="Values of a choice, anything YAML can say.")
    as_list: bool = Field(False, description="The setting is a list, the value its only element.")
    when: dict[str, Any] = Field(
        {}, description="Searched only if these other searched settings have one of these values; else left alone."
    )

    @model_validator(mode="after")
    def _complete(self) -> ParameterConfig:
        numeric = self.type in ("int", "float")
        bounds = (self.min, self.max)
        rules = [
            (numeric and None in bounds, f"{self.type} needs `min` and `max`"),
            (not numeric and bounds != (None, None), f"{self.type} takes no `min` and `max`"),
            (not numeric and (self.step is not None or self.log), f"{self.type} takes no `step` and `log`"),
            (self.type == "choice" and self.values is None, "choice needs `values`"),
            (self.type != "choice" and self.values is not None, f"{self.type} takes no `values`"),
        ]
        if self.min is not None and self.max is not None:
            whole = all(float(number).is_integer() for number in (self.min, self.max, self.step or 1))
            rules += [
                (self.min > self.max, f"`min` ({self.min:g}) is above `max` ({self.max:g})"),
                (self.log and self.min <= 0, "`log` needs a `min` above 0"),
                (self.log and self.step is not None and self.step <= 1, "with `log`, `step` is a ratio above 1"),
                (self.type == "int" and not whole, "int needs whole numbers"),
            ]
        for broken, rule in rules:
            if broken:
                raise ValueError(rule)
        values = self.values or []
        repeated = [value for place, value in enumerate(values) if _among(value, values[:place])]
        if repeated:
            raise ValueError(f"the value `{repeated[0]}` is given twice")
        return self


@dataclass(frozen=True)
class Parameter:
    """A searched setting.

    A value is what stands in a configuration; its code is what a searcher handles: the position among the values where
    they are a list, else the number itself.

    Args:
        key: Dotted configuration key, for example `optimizer.learning_rate`.
        config: Its values.
        when: Per other key, the values of it for which this one is searched.
    """

    key: str
    config: ParameterConfig
    when: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def grid(self) -> tuple[Any, ...] | None:
        """All values in order, or None where they are a range."""
        config = self.config
        if config.type == "choice":
            return tuple(config.values or ())
        if config.type == "boolean":
            return (False, True)
        low, high, step = float(config.min or 0), float(config.max or 0), config.step
        if step is None or low == high:
            return (self._number(low),) if low == high else None
        if config.log:
            count = math.floor(math.log(high / low, step) + _SLACK) + 1
            numbers = [low * step**place for place in range(count)]
        else:
            count = math.floor((high - low) / step + _SLACK) + 1
            numbers = [low + place * step for place in range(count)]
        return tuple(self._number(number) for number in itertools.islice(numbers, _LARGEST_GRID))

    @property
    def size(self) -> int | None:
        """Number of values, or None for a continuum."""
        if (grid := self.grid) is not None:
            return len(grid)
        return int((self.config.max or 0) - (self.config.min or 0)) + 1 if self.config.type == "int" else None

    def decode(self, code: Any) -> Any:
        """Returns the value of a code, as it stands in a configuration."""
        grid = self.grid
        value = self._number(float(code)) if grid is None else grid[int(code)]
        return [value] if self.config.as_list else value

    def coded(self) -> list[tuple[int, Any]]:
        """Returns the code and the value (`as_list` left aside) of each of finitely many values, in order."""
        if (grid := self.grid) is not None:
            return list(enumerate(grid))
        numbers = range(int(self.config.min or 0), int(self.config.max or 0) + 1)
        return [(number, number) for number in numbers]

    def codes(self, values: tuple[Any, ...]) -> list[int]:
        """Returns the codes of some of the values of the grid; values that it does not have are left out."""
        return [place for place, value in enumerate(self.grid or ()) if _among(value, values)]

    def probes(self) -> list[Any]:
        """Returns values by which the domain can be checked: all of a choice, else the smallest and the largest."""
        grid = self.grid
        if grid is None:
            ends = [self._number(float(self.config.min or 0)), self._number(float(self.config.max or 0))]
        else:
            ends = list(grid) if self.config.type == "choice" else [grid[0], grid[-1]]
        return [[value] if self.config.as_list else value for value in ends]

    @property
    def text(self) -> str:
        """What is searched, in words."""
        config = self.config
        if config.type in ("choice", "boolean"):
            said = ", ".join(str(value) for value in self.grid or ())
        else:
            said = f"{config.min:g} to {config.max:g}"
            if config.step is not None:
                said += f", times {config.step:g}" if config.log else f" by {config.step:g}"
            elif config.type == "int":
                said += ", whole numbers"
            if config.log:
                said += ", logarithmic"
        return said

    @property
    def condition(self) -> str:
        """When it is searched, in words; empty for always."""
        return " and ".join(f"{key} is {' or '.join(map(str, values))}" for key, values in self.when.items())

    def _number(self, number: float) -> Any:
        """Six digits are more than any setting needs, and make readable files; multiples of a step lose their dust."""
        return round(number) if self.config.type == "int" else float(f"{number:.6g}")


def _among(value: Any, values: Any) -> bool:
    """Whether a value is one of others; True is not 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)
