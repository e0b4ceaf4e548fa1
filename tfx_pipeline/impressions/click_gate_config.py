"""How good a click model must be before it is pushed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tfrec.errors import ConfigError, did_you_mean
from tfx_pipeline.evaluator_bounds import EvaluatorBounds
from tfx_pipeline.impressions.click_metric import LESS_IS_BETTER, MORE_IS_BETTER, ROWS, is_small


class ClickGateConfig(EvaluatorBounds):
    """Bounds of the Evaluator for click models."""

    counted: ClassVar[str] = ROWS

    minimum: dict[str, float] = Field(
        {"auc": 0.5}, description="Least value over all rows, with or without a baseline."
    )
    maximum: dict[str, float] = Field(
        default_factory=dict, description="Greatest value over all rows of metrics of which less is better."
    )
    max_loss: dict[str, float] = Field(
        {"auc": 0.01, "logloss": 0.005}, description="Most that may be lost against the baseline over all rows."
    )
    max_slice_loss: dict[str, float] = Field(
        {"auc": 0.1}, description="Most that may be lost against the baseline in any slice."
    )
    min_slice_rows: int = Field(1000, ge=1, description="Slices of fewer rows are shown and do not block.")
    min_slice_clicks: int = Field(
        50, ge=1, description="Slices of fewer clicks, or of fewer other rows, are shown and do not block."
    )

    @property
    def bounds(self) -> dict[str, dict[str, float]]:
        return {"greatest value": self.maximum, **super().bounds}

    @property
    def small(self) -> str:
        return f"slices of fewer than {self.min_slice_rows:,} rows or {self.min_slice_clicks:,} clicks"

    def is_small(self, values: Mapping[str, float]) -> bool:
        return is_small(values, self.min_slice_rows, self.min_slice_clicks)


def check_click_gate(gate: ClickGateConfig) -> None:
    """Raises ConfigError unless every bound is about a metric of click models, in its direction."""
    known = [*MORE_IS_BETTER, *LESS_IS_BETTER]
    for name in gate.metrics:
        if name not in known:
            raise ConfigError(f"The gate bounds `{name}`, which is no metric.", remedy=did_you_mean(name, known))
    for names, better, other, said in (
        (gate.minimum, MORE_IS_BETTER, "maximum", "less"),
        (gate.maximum, LESS_IS_BETTER, "minimum", "more"),
    ):
        for name in names:
            if name not in better:
                raise ConfigError(f"Of `{name}`, {said} is better.", remedy=f"Use `{other}.{name}`.")
