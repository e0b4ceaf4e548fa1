"""How semantic ids are learned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrec.config.strict_model import StrictModel


class RQVAEConfig(StrictModel):
    """Architecture and training of a residual-quantised autoencoder.

    Reference: RQ-VAE, arXiv 2203.01941; semantic ids, arXiv 2305.05065 (TIGER).
    """

    hidden: list[int] = Field([512, 256, 128], description="Hidden layers of the encoder; the decoder mirrors them.")
    latent_dim: int = Field(32, ge=1, description="Width of what is quantised.")
    codebook_sizes: list[int] = Field([256, 256, 256], min_length=1, description="Codes of every level.")
    codebook: Literal["ema", "gradient"] = Field(
        "ema", description="Codes are running means of what they stand for, or are trained by gradient descent."
    )
    estimator: Literal["rotation", "straight-through"] = Field(
        "rotation", description="How gradients pass the quantiser: rotated and scaled as the vector was, or unchanged."
    )
    assignment: Literal["nearest", "balanced"] = Field(
        "nearest",
        description="Codes in training and of the ids that are written: the nearest, or near ones so that all are used "
        "alike (by every batch).",
    )
    commitment: float = Field(0.25, ge=0, description="Weight of the distance of encodings to their codes.")
    ema_decay: float = Field(0.95, ge=0, lt=1, description="Share of the old running mean that a step keeps.")
    restart_below: float = Field(
        0.1, ge=0, description="Codes used less than this share of the average start anew; 0: never."
    )
    kmeans_rounds: int = Field(20, ge=1, description="Rounds of k-means that codebooks start from.")
    warmup_epochs: int = Field(2, ge=0, description="Epochs of the autoencoder without quantiser, before all others.")
    epochs: int = Field(20, ge=1, description="Epochs with the quantiser.")
    batch_size: int = Field(1024, ge=1, description="Items per step.")
    learning_rate: float = Field(0.001, gt=0, description="Step size of Adam.")

    @model_validator(mode="after")
    def _fits(self) -> RQVAEConfig:
        if any(size < 2 for size in self.codebook_sizes):
            raise ValueError("every codebook needs at least 2 codes")
        if any(size < 1 for size in self.hidden):
            raise ValueError("every hidden layer needs at least 1 unit")
        return self
