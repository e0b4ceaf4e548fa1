"""What a search improves: a metric of the validation split, and in which direction."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tfrec.config.impression_run_configs import monitor_terms
from tfrec.errors import ConfigError

_AT_CUTOFF = ("recall", "mrr", "ndcg", "hit", "user_recall")
_HIGHER = ("user_mrr", "pairwise_accuracy")
_LOWER = ("avg_rank",)
_PATTERN = re.compile(rf"({'|'.join(_AT_CUTOFF)})@([1-9][0-9]*)")
_CLICKS_HIGHER = ("auc", "ap", "score", "gauc", "score_balanced")
_CLICKS_LOWER = ("logloss", "wll", "wll_balanced", "calibration_error")


@dataclass(frozen=True)
class Objective:
    """A metric and its direction.

    Args:
        name: As in `metrics.json`, for example `ndcg@10`; of click models also a sum of metrics, as `auc-logloss`.
        direction: `max` or `min`.
        cutoff: Its cut-off, or None.
        terms: Factors and metrics of a sum; empty for a metric.
    """

    name: str
    direction: Literal["max", "min"]
    cutoff: int | None = None
    terms: tuple[tuple[float, str], ...] = ()

    @classmethod
    def parse(cls, name: str, *, clicks: bool = False) -> Objective:
        """Reads the name of a metric.

        Args:
            name: The name; of click models also a sum of metrics, which is maximised.
            clicks: Whether it is a metric of click models.

        Raises:
            ConfigError: There is no such metric.
        """
        if clicks:
            return cls._of_clicks(name.replace(" ", ""))
        if (found := _PATTERN.fullmatch(name)) is not None:
            return cls(name, "max", int(found[2]))
        if name in _HIGHER + _LOWER:
            return cls(name, "min" if name in _LOWER else "max")
        known = [*(f"{family}@K" for family in _AT_CUTOFF), *_HIGHER, *_LOWER]
        raise ConfigError(
            f"The objective `{name}` is no metric that a search knows.",
            remedy=f"Known, with K a cut-off: {', '.join(f'`{metric}`' for metric in known)}.",
        )

    @classmethod
    def _of_clicks(cls, name: str) -> Objective:
        if name in _CLICKS_HIGHER + _CLICKS_LOWER:
            return cls(name, "min" if name in _CLICKS_LOWER else "max")
        with contextlib.suppress(ValueError):
            return cls(name, "max", terms=tuple(monitor_terms(name)))
        known = ", ".join(f"`{metric}`" for metric in _CLICKS_HIGHER + _CLICKS_LOWER)
        raise ConfigError(
            f"The objective `{name}` is no metric of click models.", remedy=f"Known: {known}, and sums: `auc-logloss`."
        )

    @property
    def monitor(self) -> str:
        """The formula that training maximises where it stops early by this objective."""
        return f"-{self.name}" if self.direction == "min" else self.name

    def of(self, metrics: Mapping[str, float]) -> float:
        """Returns its value among metrics, not-a-number where it was not measured."""
        if self.terms:
            return sum(factor * metrics.get(name, math.nan) for factor, name in self.terms)
        return metrics.get(self.name, math.nan)

    def better(self, value: float, other: float) -> bool:
        """Whether a value is better than another one."""
        return value > other if self.direction == "max" else value < other
