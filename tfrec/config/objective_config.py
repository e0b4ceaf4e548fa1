"""What is minimised: a loss over candidates and the sampler that draws them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tfrec.config.strict_model import StrictModel, aliased

LossName = Literal["cross-entropy", "xe_logit", "bpr", "bpr-max", "top1", "top1-max"]


class ObjectiveConfig(StrictModel):
    """Loss and negatives, chosen independently of the encoder."""

    loss: LossName = Field("cross-entropy", description="Loss over the candidates of a step.")
    final_activation: str = aliased(
        "linear",
        "final_act",
        "Activation of the scores before the loss: linear, relu, tanh, leaky-A, elu-A, selu-S-A. "
        "Default: elu-0.5 with bpr-max, else linear",
    )
    num_negatives: int = aliased(2048, "n_sample", "Sampled ids per step, shared by all rows.", ge=0)
    negative_alpha: float = aliased(0.5, "sample_alpha", "Ids are drawn with probability ~ count^alpha.", ge=0)
    logq_strength: float = aliased(
        1.0, "logq", "Factor of the logQ correction. Default: 1 with cross-entropy and xe_logit, else 0", ge=0
    )
    score_regularization: float = aliased(1.0, "bpreg", "Score regularisation of bpr-max.", ge=0)
    label_smoothing: float = aliased(0.0, "smoothing", "Label smoothing of the cross-entropy.", ge=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_loss(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        loss = values.get("loss", "cross-entropy")
        softmax = loss in ("cross-entropy", "xe_logit")
        defaults = {
            ("logq_strength", "logq"): 1.0 if softmax else 0.0,
            ("final_activation", "final_act"): "elu-0.5" if loss == "bpr-max" else "linear",
        }
        missing = {names[0]: value for names, value in defaults.items() if not values.keys() & set(names)}
        return {**values, **missing}
