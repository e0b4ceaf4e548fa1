"""What is minimised over pairs of windows of a user."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class PairObjectiveConfig(StrictModel):
    """Loss of a user's long and short vector against those of others."""

    loss: Literal["bpr", "softmax"] = Field(
        "softmax", description="bpr: against one other user's short window; softmax: against all others of the batch."
    )
    temperature: float = Field(0.1, gt=0, description="Cosines are divided by it; published: bpr with 1.")
    balance_weight: float = Field(0.01, ge=0, description="Factor of the loss of `model.balance=auxiliary`.")
