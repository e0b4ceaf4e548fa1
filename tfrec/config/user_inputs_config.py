"""What is known of users and items besides their ids, as inputs of a sequence encoder."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.item_inputs_config import ItemInputsConfig


class UserInputsConfig(ItemInputsConfig):
    """Side features of users, besides those of items: of the same widths, and left out of steps as often."""

    user_features: bool = Field(
        False, description="Use the side features of users (`convert --users`) where the data set has them."
    )
    user_vectors: bool = Field(
        False, description="Each known user has a vector of its own besides the history, where the data has users."
    )
