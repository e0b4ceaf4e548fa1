"""What bounds of the Evaluator of any kind of model have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class EvaluatorBounds(StrictModel, ABC):
    """Bounds of the Evaluator, by metric; the baseline is the model pushed last, measured on the same examples.

    Losses are absolute, `0.01` being one point of a hundred: a relative bound means nothing where the baseline is 0. A
    loss is what the model is worse by, whether more of the metric is better or less.
    """

    counted: ClassVar[str]
    """Name of the metric that counts what was measured."""

    split: str = Field("test", description="Split of the raw examples that is measured.")
    minimum: dict[str, float] = Field(default_factory=dict, description="Least value, with or without a baseline.")
    max_loss: dict[str, float] = Field(default_factory=dict, description="Most that may be lost against the baseline.")
    max_slice_loss: dict[str, float] = Field(default_factory=dict, description="Most that may be lost in any slice.")

    @property
    def bounds(self) -> dict[str, dict[str, float]]:
        """All bounds by metric, by what they are about, in words."""
        return {
            "least value": self.minimum,
            "most lost, all": self.max_loss,
            "most lost, a slice": self.max_slice_loss,
        }

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that have bounds."""
        return list(dict.fromkeys(name for bounds in self.bounds.values() for name in bounds))

    @property
    @abstractmethod
    def small(self) -> str:
        """Which slices have no bounds, in words."""

    @abstractmethod
    def is_small(self, values: Mapping[str, float]) -> bool:
        """Returns whether a slice has no bounds: its losses are mostly luck.

        Args:
            values: Metrics of the candidate in that slice.
        """
