"""What a sequence encoder minimises: loss, negatives and how their sampling is corrected."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tfrec.config.retrieval_config import RetrievalConfig
from tfrec.config.strict_model import StrictModel, aliased

SampledLossName = Literal["sampled-softmax", "bce", "gbce", "bpr", "bpr-max", "infonce", "triplet", "infonce-triplet"]
SequenceLossName = Literal[SampledLossName, "softmax", "tfrs-retrieval"]
SamplerName = Literal["none", "uniform", "popularity", "in-batch", "mixed"]

_DEFAULTS: dict[str, dict[str, Any]] = {
    "softmax": {"sampler": "none", "num_negatives": 0},
    "sampled-softmax": {"sampler": "popularity", "num_negatives": 2048, "logq": "refined"},
    "bce": {"sampler": "uniform", "num_negatives": 1, "negatives": "per-target", "exclude_history": True},
    "gbce": {"sampler": "uniform", "num_negatives": 256, "negatives": "per-target", "exclude_history": True},
    "bpr": {"sampler": "uniform", "num_negatives": 1, "negatives": "per-target", "exclude_history": True},
    "bpr-max": {"sampler": "popularity", "num_negatives": 2048},
    "infonce": {
        "sampler": "in-batch",
        "num_negatives": 0,
        "logq": "refined",
        "similarity": "cosine",
        "temperature": 0.05,
    },
    "triplet": {"sampler": "in-batch", "num_negatives": 0, "similarity": "cosine"},
    "infonce-triplet": {
        "sampler": "in-batch",
        "num_negatives": 0,
        "logq": "refined",
        "similarity": "cosine",
        "temperature": 0.05,
    },
}

_WITH_LOGQ = ("sampled-softmax", "infonce", "infonce-triplet")


class SequenceObjectiveConfig(StrictModel):
    """Loss and negatives of a sequence encoder; defaults follow the loss."""

    loss: SequenceLossName = Field(
        "softmax",
        description="Loss of a target; softmax is over the whole catalogue, tfrs-retrieval the task of TensorFlow "
        "Recommenders, which takes its settings from the section `retrieval` and from nowhere else.",
    )
    sampler: SamplerName = Field(
        "none",
        description="Where negatives come from: uniform, popularity (~ count^negative_alpha), in-batch (the other "
        "targets of the step), mixed (in-batch and popularity). Default: follows the loss; none for softmax",
    )
    num_negatives: int = aliased(
        0, "n_sample", "Drawn ids: per step if shared, else per target; 0 with in-batch and softmax.", ge=0
    )
    negatives: Literal["shared", "per-target"] = Field(
        "shared", description="One draw for all targets of a step, or one for each. Default: follows the loss"
    )
    negative_alpha: float = aliased(0.5, "sample_alpha", "Exponent of popularity and mixed; 0 is uniform.", ge=0)
    exclude_history: bool = Field(
        False, description="Items of the user's own sequence are no negatives. Default: true with bce, gbce and bpr"
    )
    logq: Literal["none", "standard", "refined"] = Field(
        "none",
        description="Correction of sampled-softmax and infonce for the sampling: standard (positive and negatives by "
        "their expected counts) or refined (the positive is always there, so only negatives are corrected)",
    )
    similarity: Literal["dot", "cosine"] = Field("dot", description="Score: product, or cosine (default of infonce).")
    temperature: float = Field(1.0, gt=0, description="Scores are divided by it. Default: 0.05 with infonce, else 1.")
    label_smoothing: float = aliased(0.0, "smoothing", "Share of the other candidates in the target.", ge=0, lt=1)
    gbce_t: float = Field(0.75, ge=0, le=1, description="Calibration of gbce: 0 is plain bce, 1 undoes the sampling.")
    margin: float = Field(0.2, ge=0, description="How far triplet wants a target above its negatives, in cosines.")
    infonce_share: float = Field(
        0.95, ge=0, le=1, description="Share of infonce in infonce-triplet; the rest is that of triplet."
    )
    weight_feature: str | None = Field(
        None, description="Feature of events (of `convert --event-features`) by which targets have weights."
    )
    weights: dict[str, float] = Field(
        {}, description="Weight of targets by value of `weight_feature`; 1 for values that are not named."
    )
    score_regularization: float = aliased(1.0, "bpreg", "Score regularisation of bpr-max.", ge=0)
    retrieval: RetrievalConfig = Field(default_factory=RetrievalConfig)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_loss(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        defaults = dict(_DEFAULTS.get(values.get("loss", "softmax"), {}))
        if values.get("sampler") == "in-batch":
            defaults.update(num_negatives=0, negatives="shared")
        elif values.get("sampler") == "mixed":
            defaults.update(num_negatives=2048, negatives="shared")
        elif "sampler" in values and defaults.get("sampler") == "in-batch":
            defaults.update(num_negatives=2048)
        if "n_sample" in values:
            defaults.pop("num_negatives", None)
        return {**defaults, **values}

    @model_validator(mode="after")
    def _makes_sense(self) -> SequenceObjectiveConfig:
        if self.loss == "tfrs-retrieval":
            return self._has_retrieval_settings_only()
        softmax = self.loss in ("softmax", "sampled-softmax", "infonce", "infonce-triplet")
        sampled = self.loss != "softmax"
        drawn = self.sampler in ("uniform", "popularity", "mixed")
        rules = [
            (not sampled and self.sampler != "none", "softmax is over all items and takes sampler: none"),
            (sampled and self.sampler == "none", f"{self.loss} needs a sampler: uniform, popularity, in-batch, mixed"),
            (drawn and self.num_negatives == 0, f"sampler {self.sampler} needs num_negatives of at least 1"),
            (not drawn and self.num_negatives > 0, f"sampler {self.sampler} takes num_negatives: 0"),
            (
                self.negatives == "per-target" and self.sampler not in ("uniform", "popularity"),
                f"negatives per-target go with sampler uniform or popularity, not {self.sampler}",
            ),
            (
                self.logq != "none" and self.loss not in _WITH_LOGQ,
                f"logq corrects sampled-softmax and infonce; {self.loss} takes logq: none",
            ),
            (
                self.label_smoothing > 0 and not softmax,
                f"label_smoothing goes with softmax, sampled-softmax and infonce, not {self.loss}",
            ),
            (not sampled and self.exclude_history, "softmax is over all items and takes exclude_history: false"),
            (
                self.loss == "gbce" and self.sampler != "uniform",
                f"the calibration of gbce is that of uniform negatives, not {self.sampler}",
            ),
            (
                self.loss in ("infonce", "triplet", "infonce-triplet") and self.similarity != "cosine",
                f"{self.loss} compares by cosine; use sampled-softmax",
            ),
            (
                bool(self.weights) != (self.weight_feature is not None),
                "weights go with weight_feature, which names the feature that decides them",
            ),
            (any(weight < 0 for weight in self.weights.values()), "weights are at least 0"),
        ]
        for broken, rule in rules:
            if broken:
                raise ValueError(rule)
        return self

    def _has_retrieval_settings_only(self) -> SequenceObjectiveConfig:
        fields = type(self).model_fields
        for name in fields:
            if name not in ("loss", "retrieval") and getattr(self, name) != fields[name].default:
                raise ValueError(f"tfrs-retrieval takes its settings from the section `retrieval`, not from `{name}`")
        return self
