"""Architecture of the GRU over whole sequences."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class GRUEncoderConfig(StrictModel):
    """Architecture of a GRU that is trained through time.

    Reference: arXiv 1511.06939 for the cell; training as in arXiv 1808.09781.
    """

    dim: int = Field(64, ge=1, description="Width of item vectors and states.")
    layers: int = Field(1, ge=1, description="GRU layers.")
    max_length: int = Field(50, ge=1, description="Most recent events that the model sees.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Drop-out of inputs and outputs.")
    item_bias: bool = Field(False, description="Add a learned bias to the score of each item.")
    similarity: Literal["dot", "cosine"] = Field("dot", description="Score of a state and an item vector.")
    init_stddev: float = Field(0.02, gt=0, description="Standard deviation of initial item vectors.")
