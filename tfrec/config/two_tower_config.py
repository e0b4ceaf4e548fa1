"""Architecture of the two-tower model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tfrec.config.user_inputs_config import UserInputsConfig


class TwoTowerConfig(UserInputsConfig):
    """Architecture of the history tower and the item tower.

    Reference: Covington et al., RecSys 2016; Yi et al., RecSys 2019.
    """

    dim: int = Field(64, ge=1, description="Width of item vectors and states.")
    max_length: int = Field(50, ge=1, description="Most recent events that the history tower sees.")
    decays: list[float] = Field(
        [1.0, 0.8, 0.0],
        min_length=1,
        description="Weights of past events, one mean per decay: d^k for k events ago. 1 is the plain mean, 0 the last "
        "event.",
    )
    hidden: list[int] = Field([128], description="Hidden layers of the history tower.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Drop-out of the history's item vectors and hidden layers.")
    use_ids: bool = Field(True, description="Each item has a vector of its own; false: its features are all it has.")
    item_features: bool = Field(True, description="Use the side features of items where the data set has them.")
    similarity: Literal["dot", "cosine"] = Field("dot", description="Score; cosine makes all vectors of length 1.")
    init_stddev: float = Field(0.05, gt=0, description="Standard deviation of initial item and feature vectors.")

    @field_validator("decays")
    @classmethod
    def _between_zero_and_one(cls, decays: list[float]) -> list[float]:
        if any(not 0.0 <= decay <= 1.0 for decay in decays):
            raise ValueError("every decay must be in [0, 1]")
        return decays
