"""The whole configuration of a run, one section per concern."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.config.strict_model import StrictModel, aliased


class DataConfig(StrictModel):
    """Where events come from."""

    path: str | None = Field(None, description="Dataset directory of `tfrec.convert`; null: synthetic clickstream.")
    synthetic: ClickstreamConfig = Field(default_factory=ClickstreamConfig)


class TrainingConfig(StrictModel):
    """How long and in which batches a model is fitted."""

    epochs: int = aliased(10, "n_epochs", "Passes over the training split.", ge=1)
    batch_size: int = Field(64, ge=1, description="Mini-batch size: parallel sessions, or sequences.")
    time_sort: bool = Field(True, description="Sessions in the order of their first event; false: of their raw ids.")
    random_order: bool = aliased(
        False, "train_random_order", "Shuffle the sessions anew in every epoch: by shard and in a buffer of 50,000"
    )
    block_steps: int = Field(
        50,
        ge=1,
        description="Mini-batches that one training step loops over; decides the random stream.",
    )
    patience: int = Field(
        0, ge=0, description="Stop after this many epochs without a better validation metric; 0: run all epochs."
    )
    monitor: str = Field("mrr@20", pattern=r"^(recall|mrr|ndcg|hit)@[1-9][0-9]*$", description="Validation metric.")
    loss_trace: list[float] = Field(
        [], description="Published loss of every epoch; the largest relative difference is reported."
    )
    checkpoint_minutes: float = Field(10.0, ge=0, description="Time between checkpoints within an epoch.")
    deterministic: bool = Field(False, description="Deterministic kernels; CPU runs are repeatable without it.")
    checkpoints_to_keep: int = Field(2, ge=1, description="Number of latest checkpoints that are kept.")


class RunConfig(StrictModel):
    """Sections that every model has."""

    model: Any = Field(description="Name and architecture; keys depend on the model.")
    seed: int = Field(42, ge=0, description="Seed of weights, drop-out, negatives and shuffles.")
    data: DataConfig = Field(default_factory=DataConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)


class GradientRunConfig(RunConfig):
    """Further sections of models that are trained by gradient descent."""

    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
