"""How good a model must be before it is pushed."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class GateConfig(StrictModel):
    """Bounds of the Evaluator, by metric; the baseline is the model pushed last, measured on the same examples.

    Losses are absolute, `0.01` being one point of a hundred: a relative bound means nothing where the baseline is 0, as
    it often is in the tail.
    """

    split: str = Field("test", description="Split of the raw examples that is ranked.")
    minimum: dict[str, float] = Field(
        {"recall@20": 0.01}, description="Least value over all targets, with or without a baseline."
    )
    max_loss: dict[str, float] = Field(
        {"recall@20": 0.01, "mrr@20": 0.01}, description="Most that may be lost against the baseline over all targets."
    )
    max_slice_loss: dict[str, float] = Field(
        {"recall@20": 0.05}, description="Most that may be lost against the baseline in any slice."
    )
    min_slice_targets: int = Field(
        200, ge=1, description="Slices of fewer targets are shown and do not block: their losses are mostly luck."
    )
    cold_history: int = Field(
        2, ge=1, description="Targets after fewer events are the slice `cold`, the others `warm`."
    )

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that have bounds."""
        return list(dict.fromkeys([*self.minimum, *self.max_loss, *self.max_slice_loss]))
