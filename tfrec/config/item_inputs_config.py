"""What is known of items besides their ids, as inputs of a sequence encoder."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class ItemInputsConfig(StrictModel):
    """Side features and ready-made vectors of items; without them an item is its id."""

    item_features: bool = Field(False, description="Use the side features of items where the data set has them.")
    item_vectors: list[str] = Field([], description="Names of ready-made vectors of items that are used as well.")
    feature_dim: int = Field(16, ge=1, description="Width of the vector of a feature value, or made of a ready one.")
    feature_hidden: list[int] = Field([64], description="Hidden layers between features and the item vector.")
    id_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of items whose own vector is left out of a step: features learn to stand in for it, as they "
        "must for cold items. Without effect unless there are features.",
    )
