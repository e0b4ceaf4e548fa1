"""The whole configuration of a run, one section per concern."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.config.strict_model import StrictModel, aliased


class DataConfig(StrictModel):
    """Where events come from."""

    path: str | None = Field(None, description="Dataset directory of `tfrec.convert`; null: synthetic clickstream.")
    synthetic: ClickstreamConfig = Field(default_factory=ClickstreamConfig)


class EvaluationConfig(StrictModel):
    """How the trained model is measured."""

    split: Literal["valid", "test"] = Field("test", description="Split that is reported.")
    cutoffs: list[int] = Field([1, 5, 10, 20], min_length=1, description="Cut-offs of all metrics.")
    tie_rule: Literal["standard", "conservative", "median"] = Field(
        "conservative", description="Rank of a target among equal scores; published numbers use conservative."
    )
    exclude_history: bool = Field(False, description="Items already in the sequence are no candidates.")
    batch_size: int = Field(256, ge=1, description="Sequences per evaluation batch.")
    baselines: list[str] = Field(
        ["popularity", "session_popularity", "markov", "item_knn"], description="Counting models to compare with."
    )

    @field_validator("cutoffs")
    @classmethod
    def _positive(cls, cutoffs: list[int]) -> list[int]:
        if any(cutoff < 1 for cutoff in cutoffs):
            raise ValueError("every cut-off must be at least 1")
        if len(set(cutoffs)) != len(cutoffs):
            raise ValueError("a cut-off is given twice")
        return cutoffs


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
