"""Stages of a training: which, in which order, and how long each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tfrec.config.strict_model import StrictModel

StageName = Literal["pretrain_sasrec", "pretrain_retriever", "joint_finetune", "end_to_end"]
STAGES: tuple[StageName, ...] = ("pretrain_sasrec", "pretrain_retriever", "joint_finetune", "end_to_end")
JOINT_STAGES: tuple[StageName, ...] = ("joint_finetune", "end_to_end")
"""Stages that train all branches there are."""


class StageConfig(StrictModel):
    """One stage: its optimisers are new, its weights those of the best epoch of the stage before."""

    epochs: int = Field(10, ge=1, description="Passes over the training split.")
    patience: int = Field(5, ge=0, description="Stop after so many epochs without a better one; 0: never.")
    rate_factor: float = Field(1.0, gt=0, description="Factor of the step sizes of both optimisers in this stage.")
    weight_average: float = Field(
        0.0, ge=0, lt=1, description="As `training.weight_average` of other models; needs `patience`."
    )

    @model_validator(mode="after")
    def _average_is_validated(self) -> StageConfig:
        if self.weight_average and not self.patience:
            raise ValueError("`weight_average` needs `patience`: the average of the best epoch is what is kept")
        return self


class JointStageConfig(StageConfig):
    """The stage in which both branches take turns."""

    alternate: Literal["parity", "adaptive"] = Field(
        "parity", description="Branches take turns step by step, or when the loss of one no longer changes."
    )
    window: int = Field(10, ge=2, description="adaptive: steps over which the change of the loss is measured.")
    tolerance: float = Field(0.01, gt=0, description="adaptive: below this relative change the other one is on.")
    least_steps: int = Field(5, ge=1, description="adaptive: steps that a branch has at least.")


class StagesConfig(StrictModel):
    """Which stages are run, and their settings."""

    run: list[StageName] = Field(list(STAGES), min_length=1, description="Stages in their order.")
    pretrain_sasrec: StageConfig = Field(default_factory=StageConfig)
    pretrain_retriever: StageConfig = Field(default_factory=StageConfig)
    joint_finetune: JointStageConfig = Field(default_factory=JointStageConfig)
    end_to_end: StageConfig = Field(default_factory=StageConfig)

    @field_validator("run")
    @classmethod
    def _each_once(cls, run: list[StageName]) -> list[StageName]:
        if len(set(run)) != len(run):
            raise ValueError("a stage is named twice")
        return run
