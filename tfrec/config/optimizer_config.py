"""How weights are updated."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tfrec.config.strict_model import StrictModel, aliased

_LEARNING_RATES = {"adagrad": 0.1, "rmsprop": 0.001, "adadelta": 1.0, "adam": 0.001}
_AVERAGES = {"adagrad": 0, "rmsprop": 1, "adadelta": 1, "adam": 2}


class OptimizerConfig(StrictModel):
    """Row-sparse optimiser and its settings."""

    name: Literal["adagrad", "rmsprop", "adadelta", "adam"] = aliased("adagrad", "adapt", "Optimiser.")
    learning_rate: float = Field(
        0.1, gt=0, description="Step size. Default: adagrad 0.1, rmsprop and adam 0.001, adadelta 1."
    )
    momentum: float = Field(0.0, ge=0, lt=1, description="Classical momentum on the scaled step.")
    epsilon: float | None = Field(None, gt=0, description="Keeps roots from zero; null: the optimiser's own default.")
    averages: list[float] = aliased(
        [], "adapt_params", "Decay of rmsprop and adadelta, [beta_1, beta_2] of adam; empty: the usual ones."
    )
    l2: float = aliased(0.0, "lmbd", "Weights of the touched rows shrink by learning_rate * l2.", ge=0)
    gradient_cap: float = aliased(0.0, "grad_cap", "Largest norm of all gradients together; 0: none.", ge=0)

    @model_validator(mode="before")
    @classmethod
    def _default_of_the_optimizer(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "learning_rate" in values:
            return values
        name = str(values.get("name", values.get("adapt", cls.model_fields["name"].default)))
        return {**values, "learning_rate": _LEARNING_RATES.get(name, 0.1)}

    @model_validator(mode="after")
    def _fits_the_optimizer(self) -> OptimizerConfig:
        allowed = _AVERAGES[self.name]
        if self.averages and len(self.averages) != allowed:
            raise ValueError(f"{self.name} takes {allowed} averages, received {len(self.averages)}")
        if any(not 0.0 <= average < 1.0 for average in self.averages):
            raise ValueError("averages must be in [0, 1)")
        return self

    def averaging(self, *names: str) -> dict[str, float]:
        """Returns `averages` by the names that an optimiser gives them; empty for its defaults."""
        return dict(zip(names, self.averages, strict=bool(self.averages)))


class SequenceOptimizerConfig(OptimizerConfig):
    """Settings of the optimiser of models that are trained over whole sequences."""

    name: Literal["adagrad", "rmsprop", "adadelta", "adam"] = aliased("adam", "adapt", "Optimiser.")
    learning_rate: float = Field(
        0.001, gt=0, description="Largest step size. Default: adagrad 0.1, rmsprop and adam 0.001, adadelta 1."
    )
    weight_decay: float = Field(
        0.0, ge=0, description="Decoupled weight decay of kernels; tables, biases and norms are left alone."
    )
    embedding_l2: float = Field(
        0.0,
        ge=0,
        description="The rows of tables that a step looks up shrink by learning_rate * embedding_l2; others, and what "
        "is not a table, are left alone.",
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="Course of the step size after the warm-up, down to 0 in the last step."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the step size rises from 0, linearly.")
    warmup_share: float = Field(0.0, ge=0, le=1, description="The same as a share of all steps, rounded.")

    @model_validator(mode="after")
    def _one_warmup(self) -> SequenceOptimizerConfig:
        if self.warmup_steps and self.warmup_share:
            raise ValueError("give warmup_steps or warmup_share, not both")
        return self
