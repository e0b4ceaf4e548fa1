"""What a search improves: a metric of the validation split among all candidates, and in which direction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tfrec.errors import ConfigError

_AT_CUTOFF = ("recall", "mrr", "ndcg", "hit", "user_recall")
_HIGHER = ("user_mrr", "pairwise_accuracy")
_LOWER = ("avg_rank",)
_PATTERN = re.compile(rf"({'|'.join(_AT_CUTOFF)})@([1-9][0-9]*)")


@dataclass(frozen=True)
class Objective:
    """A metric and its direction.

    Args:
        name: As in `metrics.json`, for example `ndcg@10`.
        direction: `max` or `min`.
        cutoff: Its cut-off, or None.
    """

    name: str
    direction: Literal["max", "min"]
    cutoff: int | None = None

    @classmethod
    def parse(cls, name: str) -> Objective:
        """Reads the name of a metric.

        Raises:
            ConfigError: There is no such metric.
        """
        if (found := _PATTERN.fullmatch(name)) is not None:
            return cls(name, "max", int(found[2]))
        if name in _HIGHER + _LOWER:
            return cls(name, "min" if name in _LOWER else "max")
        known = [*(f"{family}@K" for family in _AT_CUTOFF), *_HIGHER, *_LOWER]
        raise ConfigError(
            f"The objective `{name}` is no metric that a search knows.",
            remedy=f"Known, with K a cut-off: {', '.join(f'`{metric}`' for metric in known)}.",
        )

    def better(self, value: float, other: float) -> bool:
        """Whether a value is better than another one."""
        return value > other if self.direction == "max" else value < other
