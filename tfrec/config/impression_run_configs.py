"""Sections of runs of click models."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from pydantic import Field, field_validator

from tfrec.config.impression_world_config import ImpressionWorldConfig
from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.config.strict_model import StrictModel
from tfrec.config.training_config import TrainingConfig
from tfrec.errors import ConfigError, did_you_mean

MONITORED = ("auc", "logloss", "ap", "wll", "score", "gauc")
"""Metrics that a monitor may combine."""

_TERM = re.compile(r"([+-]?)(?:([0-9]*\.?[0-9]+)\*)?([a-z]+)")


class ImpressionDataConfig(StrictModel):
    """Where impressions come from."""

    path: str | None = Field(None, description="Dataset directory of `tfrec.convert --impressions`; null: synthetic.")
    synthetic: ImpressionWorldConfig = Field(default_factory=ImpressionWorldConfig)


class ClickObjectiveConfig(StrictModel):
    """What click models minimise."""

    loss: Literal["bce", "focal"] = Field("bce", description="Binary cross-entropy, or focal loss (arXiv 1708.02002).")
    positive_weight: float | Literal["balanced"] = Field(
        1.0, description="Weight of clicks; balanced: as many times as there are other rows per click."
    )
    focal_gamma: float = Field(2.0, ge=0, description="How much focal loss discounts rows that are predicted well.")
    vector_penalty: float = Field(
        0.0,
        ge=0,
        validation_alias="embedding_regularizer",
        description="Half of it times the squares of the vectors that a step looks up is added to the loss.",
    )

    @field_validator("positive_weight")
    @classmethod
    def _positive(cls, weight: float | str) -> float | str:
        if isinstance(weight, float) and weight <= 0:
            raise ValueError("a weight must be above 0")
        return weight


class ImpressionTrainingConfig(TrainingConfig):
    """Settings of training over batches of impressions."""

    batch_size: int = Field(256, ge=1, description="Rows per step.")
    epochs: int = Field(4, ge=1, description="Passes over the training split.")
    monitor: str = Field("auc-logloss", description="Sum of validation metrics, e.g. auc or auc-0.5*logloss.")
    plateau_factor: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Step size times this after an epoch without gain, where `optimizer.schedule` is constant.",
    )
    min_learning_rate: float = Field(1e-6, ge=0, description="The step size does not fall below it.")

    @field_validator("monitor")
    @classmethod
    def _known(cls, formula: str) -> str:
        monitor_terms(formula)
        return formula.replace(" ", "")


class ImpressionEvaluationConfig(StrictModel):
    """How click models are measured."""

    split: Literal["valid", "test"] = Field("test", description="Split that is reported.")
    batch_size: int = Field(512, ge=1, description="Rows per batch.")
    baselines: list[str] = Field(["prior"], description="Models without gradient training to compare with.")
    group: str | None = Field(None, description="Feature whose values are the groups of gAUC.")
    slices: list[str] = Field(
        ["day_of_week", "hour", "inventory_id"], description="Features by whose values it is broken down."
    )
    bins: int = Field(15, ge=2, description="Bins of the calibration curve, with equal numbers of rows.")
    bootstrap: int = Field(200, ge=0, description="Resamples of the interval of AUC; 0: none.")
    confidence: float = Field(0.95, gt=0, lt=1, description="What the interval is meant to cover.")

    def slices_of(self, categories: Collection[str]) -> tuple[list[str], str]:
        """Returns the slices that data with these categories have, and a sentence about those passed over or nothing.

        Only the default is passed over: it fits one schema.

        Raises:
            ConfigError: A slice that was asked for is no category.
        """
        absent = [name for name in self.slices if name not in categories]
        if absent and self.slices != type(self).model_fields["slices"].default:
            raise ConfigError(
                f"`evaluation.slices` names `{absent[0]}`, which is no category of the data.",
                remedy=did_you_mean(absent[0], categories) if categories else "There are none: set it to [].",
            )
        names = ", ".join(f"`{name}`" for name in absent)
        said = f"Not broken down by {names}: no categories of the data. `evaluation.slices` says by what."
        return [name for name in self.slices if name in categories], said if absent else ""


def monitor_terms(formula: str) -> list[tuple[float, str]]:
    """Returns the terms of a monitor: factor and metric.

    Raises:
        ValueError: The formula is none, or names an unknown metric.

    Example:
        >>> monitor_terms("auc - 0.5*logloss")
        [(1.0, 'auc'), (-0.5, 'logloss')]
    """
    text = formula.replace(" ", "")
    terms: list[tuple[float, str]] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None or (terms and not match[1]) or match[3] not in MONITORED:
            raise ValueError(f"`{formula}` is no sum of {', '.join(MONITORED)}, such as auc-0.5*logloss")
        terms.append((float(match[2] or 1.0) * (-1.0 if match[1] == "-" else 1.0), match[3]))
        position = match.end()
    if not terms:
        raise ValueError("the monitor is empty")
    return terms


class ClickOptimizerConfig(SequenceOptimizerConfig):
    """Settings of the optimiser of click models."""

    gradient_cap: float = Field(10.0, ge=0, description="Largest norm of all gradients together; 0: none.")
