"""Architecture that click models share: vectors of features and a network over them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrec.config.strict_model import StrictModel, aliased


class ClickModelConfig(StrictModel):
    """Vectors of features and a dense network over them.

    Reference: Covington et al., RecSys 2016; the baseline of most papers on click models.
    """

    embedding_dim: int = Field(16, ge=1, description="Width of the vector of a feature.")
    max_length: int = Field(100, ge=1, description="Latest values of a list that are read.")
    hidden: list[int] = aliased([128, 64], "dnn_hidden_units", "Hidden layers of the network.")
    activation: Literal["relu", "leaky_relu", "dice", "sigmoid", "tanh"] = aliased(
        "relu", "dnn_activations", "Activation of hidden layers; leaky_relu has a slope of 0.01."
    )
    dropout: float = aliased(0.1, "net_dropout", "Drop-out of hidden layers.", ge=0, lt=1)
    batch_norm: bool = Field(False, description="Batch norm in hidden layers.")
    init_stddev: float = Field(1e-4, gt=0, description="Standard deviation of initial vectors of ids.")


class PriorConfig(StrictModel):
    """The click rate of the training rows for everyone: what every model must beat."""
