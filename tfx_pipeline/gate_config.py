"""How good a model that ranks must be before it is pushed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from tfx_pipeline.evaluator_bounds import EvaluatorBounds
from tfx_pipeline.target_metrics import TARGETS


class GateConfig(EvaluatorBounds):
    """Bounds of the Evaluator for models that rank."""

    counted: ClassVar[str] = TARGETS

    minimum: dict[str, float] = Field(
        {"recall@20": 0.01}, description="Least value over all targets, with or without a baseline."
    )
    max_loss: dict[str, float] = Field(
        {"recall@20": 0.01, "mrr@20": 0.01}, description="Most that may be lost against the baseline over all targets."
    )
    max_slice_loss: dict[str, float] = Field(
        {"recall@20": 0.05}, description="Most that may be lost against the baseline in any slice."
    )
    min_slice_targets: int = Field(
        200, ge=1, description="Slices of fewer targets are shown and do not block: their losses are mostly luck."
    )
    cold_history: int = Field(
        2, ge=1, description="Targets after fewer events are the slice `cold`, the others `warm`."
    )

    @property
    def small(self) -> str:
        return f"slices of fewer than {self.min_slice_targets:,} targets"

    def is_small(self, values: Mapping[str, float]) -> bool:
        return values.get(TARGETS, 0) < self.min_slice_targets
