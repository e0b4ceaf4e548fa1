"""How long and in which batches a model is fitted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrec.config.augmentation_config import AugmentationConfig
from tfrec.config.strict_model import StrictModel, aliased


class TrainingConfig(StrictModel):
    """Settings of every training loop."""

    epochs: int = aliased(10, "n_epochs", "Passes over the training split.", ge=1)
    batch_size: int = Field(64, ge=1, description="Mini-batch size: parallel sessions, or sequences.")
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
    weight_average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the old average in a running average of the weights over epochs, which is what is "
        "validated and kept; 0: none. Needs `patience`.",
    )

    @model_validator(mode="after")
    def _average_is_validated(self) -> TrainingConfig:
        if self.weight_average and not self.patience:
            raise ValueError("`weight_average` needs `patience`: the average of the best epoch is what is kept")
        return self


class PairTrainingConfig(TrainingConfig):
    """Settings of training over pairs of windows of users."""

    epochs: int = aliased(5, "n_epochs", "Passes over the training split.", ge=1)
    batch_size: int = Field(256, ge=1, description="Users per step.")
    monitor: str = Field(
        "user_recall@10",
        pattern=r"^(user_recall@[1-9][0-9]*|user_mrr|pairwise_accuracy|negative_bpr)$",
        description="Validation metric: finding a user's short window by his long one. negative_bpr: minus the loss of "
        "the publication.",
    )
    validation_users: int = Field(
        10_000,
        ge=2,
        description="Users among whom each finds his short window after every epoch, in time quadratic in them; where "
        "there are more, so many are drawn, the same in every epoch and run. The evaluation at the end takes all.",
    )
    plateau_factor: float = Field(
        0.5,
        gt=0,
        le=1,
        description="With `patience`: the step size is multiplied by it after epochs without a better one; 1: never. "
        "Not with a schedule or a warm-up.",
    )
    plateau_patience: int = Field(1, ge=0, description="Epochs without a better metric that are let pass before.")


class SessionTrainingConfig(TrainingConfig):
    """Settings of training over session-parallel blocks."""

    time_sort: bool = Field(True, description="Sessions in the order of their first event; false: of their raw ids.")
    random_order: bool = aliased(
        False, "train_random_order", "Shuffle the sessions anew in every epoch: by shard and in a buffer of 50,000"
    )
    block_steps: int = Field(
        50,
        ge=1,
        description="Mini-batches that one training step loops over; decides the random stream.",
    )


class SequenceTrainingConfig(TrainingConfig):
    """Settings of training over batches of whole sequences."""

    batch_size: int = Field(128, ge=1, description="Sequences per step.")
    monitor: str = Field("ndcg@10", pattern=r"^(recall|mrr|ndcg|hit)@[1-9][0-9]*$", description="Validation metric.")
    bucket_by_length: bool = Field(
        True, description="Batches hold sequences of similar length: little padding, the same targets per epoch."
    )
    augmentation: AugmentationConfig = Field(default_factory=AugmentationConfig)
    similarities: bool = Field(
        False,
        description="Measure the cosine of states with their targets and with other targets of the step: history, "
        "TensorBoard and report show both and their difference.",
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        "float32", description="Arithmetic of the encoder; weights, losses and scores stay float32."
    )
    strategy: Literal["single", "mirrored"] = Field(
        "single", description="One device, or every batch divided among all GPUs (MirroredStrategy)."
    )


class StagedTrainingConfig(StrictModel):
    """Settings of all stages of a training; epochs and patience are those of each stage."""

    batch_size: int = Field(64, ge=1, description="Sequences per step.")
    monitor: str = Field("ndcg@10", pattern=r"^(recall|mrr|ndcg|hit)@[1-9][0-9]*$", description="Validation metric.")
    bucket_by_length: bool = Field(True, description="Batches hold sequences of similar length.")
    checkpoint_minutes: float = Field(10.0, ge=0, description="Time between checkpoints within an epoch.")
    checkpoints_to_keep: int = Field(2, ge=1, description="Number of latest checkpoints of a stage that are kept.")
    deterministic: bool = Field(False, description="Deterministic kernels; CPU runs are repeatable without it.")
