"""How weights are updated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrec.config.strict_model import StrictModel, aliased


class OptimizerConfig(StrictModel):
    """Row-sparse optimiser and its settings."""

    name: Literal["adagrad"] = aliased("adagrad", "adapt", "Optimiser.")
    learning_rate: float = Field(0.05, gt=0, description="Step size.")
    momentum: float = Field(0.0, ge=0, lt=1, description="Classical momentum on the scaled step.")
    epsilon: float = Field(1e-6, gt=0, description="Added inside the root of Adagrad.")
