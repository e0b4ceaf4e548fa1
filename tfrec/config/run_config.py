"""The whole configuration of a run, one section per concern."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from tfrec.config.behavior_log_config import BehaviorLogConfig
from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.impression_run_configs import (
    ClickObjectiveConfig,
    ClickOptimizerConfig,
    ImpressionDataConfig,
    ImpressionEvaluationConfig,
    ImpressionTrainingConfig,
    monitor_terms,
)
from tfrec.config.joint_objective_config import JointObjectiveConfig
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.config.optimizer_config import OptimizerConfig, SequenceOptimizerConfig
from tfrec.config.pair_objective_config import PairObjectiveConfig
from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.config.stages_config import JOINT_STAGES, StagesConfig
from tfrec.config.strict_model import StrictModel
from tfrec.config.training_config import (
    PairTrainingConfig,
    SequenceTrainingConfig,
    SessionTrainingConfig,
    StagedTrainingConfig,
    TrainingConfig,
)


class DataConfig(StrictModel):
    """Where events come from."""

    path: str | None = Field(None, description="Dataset directory of `tfrec.convert`; null: synthetic clickstream.")
    synthetic: ClickstreamConfig = Field(default_factory=ClickstreamConfig)


class RunConfig(StrictModel):
    """Sections that every model has."""

    model: Any = Field(description="Name and architecture; keys depend on the model.")
    seed: int = Field(42, ge=0, description="Seed of weights, drop-out, negatives and shuffles.")
    data: DataConfig = Field(default_factory=DataConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)

    @property
    def validates(self) -> bool:
        """Whether weights are chosen by the validation split."""
        return False


class GradientRunConfig(RunConfig):
    """Further sections of models that are trained by gradient descent."""

    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    @property
    def validates(self) -> bool:
        return self.training.patience > 0


class SessionRunConfig(GradientRunConfig):
    """Sections of models that are trained over session-parallel blocks."""

    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    training: SessionTrainingConfig = Field(default_factory=SessionTrainingConfig)


class PairDataConfig(DataConfig):
    """Where events of users come from."""

    path: str | None = Field(None, description="Dataset directory of `tfrec.convert`; null: synthetic behaviour log.")
    synthetic: BehaviorLogConfig = Field(default_factory=BehaviorLogConfig)  # type: ignore[assignment]


class PairRunConfig(GradientRunConfig):
    """Sections of models that are trained over a long and a short window of each user."""

    data: PairDataConfig = Field(default_factory=PairDataConfig)
    objective: PairObjectiveConfig = Field(default_factory=PairObjectiveConfig)
    optimizer: SequenceOptimizerConfig = Field(default_factory=SequenceOptimizerConfig)
    training: PairTrainingConfig = Field(default_factory=PairTrainingConfig)

    @model_validator(mode="after")
    def _one_course_of_the_step_size(self) -> PairRunConfig:
        optimizer = self.optimizer
        scheduled = optimizer.schedule != "constant" or optimizer.warmup_steps or optimizer.warmup_share
        if scheduled and self.training.patience and self.training.plateau_factor < 1.0:
            raise ValueError(
                f"`training.plateau_factor={self.training.plateau_factor}` cannot change a step size that follows a "
                "schedule or a warm-up; set `training.plateau_factor=1`, or `optimizer.schedule=constant` without a "
                "warm-up"
            )
        return self


class SequenceRunConfig(GradientRunConfig):
    """Sections of models that are trained over batches of whole sequences."""

    objective: SequenceObjectiveConfig = Field(default_factory=SequenceObjectiveConfig)
    optimizer: SequenceOptimizerConfig = Field(default_factory=SequenceOptimizerConfig)
    training: SequenceTrainingConfig = Field(default_factory=SequenceTrainingConfig)

    @model_validator(mode="after")
    def _fits_the_strategy(self) -> SequenceRunConfig:
        """Replicas see their share of a gradient: what is decided by all of it cannot be decided there."""
        if self.training.strategy == "mirrored" and self.optimizer.gradient_cap:
            raise ValueError(
                f"`optimizer.gradient_cap={self.optimizer.gradient_cap}` does not work with "
                "`training.strategy=mirrored`; set `optimizer.gradient_cap=0` or `training.strategy=single`"
            )
        if self.training.strategy == "mirrored" and self.training.precision == "mixed_float16":
            raise ValueError(
                "`training.precision=mixed_float16` does not work with `training.strategy=mirrored`; "
                "set `training.precision=mixed_bfloat16` or `training.strategy=single`"
            )
        return self


class StagedRunConfig(RunConfig):
    """Sections of models of two branches, which are trained in stages over batches of whole sequences."""

    objective: SequenceObjectiveConfig = Field(
        default_factory=SequenceObjectiveConfig, description="Loss of the SASRec branch."
    )
    joint: JointObjectiveConfig = Field(default_factory=JointObjectiveConfig)
    sasrec_optimizer: SequenceOptimizerConfig = Field(default_factory=SequenceOptimizerConfig)
    retriever_optimizer: SequenceOptimizerConfig = Field(default_factory=SequenceOptimizerConfig)
    training: StagedTrainingConfig = Field(default_factory=StagedTrainingConfig)
    stages: StagesConfig = Field(default_factory=StagesConfig)

    @property
    def validates(self) -> bool:
        return any(getattr(self.stages, stage).patience for stage in self.stages.run)

    @model_validator(mode="after")
    def _scores_are_those_of_the_objective(self) -> StagedRunConfig:
        if self.objective.similarity == "cosine" and self.model.sasrec.similarity != "cosine":
            raise ValueError(
                "`objective.similarity=cosine` compares directions, `model.sasrec.similarity=dot` ranks by products"
            )
        if self.objective.weight_feature is not None:
            raise ValueError("`objective.weight_feature` is for models that are not trained in stages")
        trained = set(JOINT_STAGES)
        trained |= {"pretrain_sasrec"} if self.model.has_sasrec else set()
        trained |= {"pretrain_retriever"} if self.model.has_retriever else set()
        if not trained & set(self.stages.run):
            raise ValueError(f"no stage of `stages.run` ({', '.join(self.stages.run)}) trains a branch that is on")
        return self


class ImpressionRunConfig(GradientRunConfig):
    """Sections of click models, which are trained over batches of impressions."""

    data: ImpressionDataConfig = Field(default_factory=ImpressionDataConfig)  # type: ignore[assignment]
    objective: ClickObjectiveConfig = Field(default_factory=ClickObjectiveConfig)
    optimizer: ClickOptimizerConfig = Field(default_factory=ClickOptimizerConfig)
    training: ImpressionTrainingConfig = Field(default_factory=ImpressionTrainingConfig)
    evaluation: ImpressionEvaluationConfig = Field(  # type: ignore[assignment]
        default_factory=ImpressionEvaluationConfig
    )

    @model_validator(mode="after")
    def _monitor_can_be_measured(self) -> ImpressionRunConfig:
        monitored = any(name == "gauc" for _, name in monitor_terms(self.training.monitor))
        if self.training.patience and monitored and self.evaluation.group is None:
            raise ValueError("`training.monitor` with gauc needs groups; set `evaluation.group`")
        return self


RUN_CONFIGS: dict[str, type[RunConfig]] = {
    "counts": RunConfig,
    "session_parallel": SessionRunConfig,
    "sequences": SequenceRunConfig,
    "user_pairs": PairRunConfig,
    "stages": StagedRunConfig,
    "impressions": ImpressionRunConfig,
}
"""Configuration class by a model's `training_scheme`."""
