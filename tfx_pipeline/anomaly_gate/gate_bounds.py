"""Bounds of the anomaly gate."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from tfrec.config.load import load_section
from tfrec.config.strict_model import StrictModel


class GateBounds(StrictModel):
    """How much data may differ from the last that passed the gate, beyond what the schema says."""

    new_item_events: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of training events of items, or of values of a category, that the last run's lacked.",
    )
    unknown_item_events: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of valid and test events of items, or of values of a category, without training events.",
    )
    row_reversals: float = Field(
        0.1, ge=0, le=1, description="Share of rows earlier than the row before of the same user, if there were none."
    )
    click_rate_ratio: float = Field(
        2.0, ge=1, description="Impressions: how many times the click rate may be the last run's, or the reverse."
    )
    missing_change: float = Field(
        0.2, ge=0, le=1, description="Impressions: how much the share of missing values of a column may change."
    )
    plausible_times: bool = Field(True, description="Whether times before 1990 or after tomorrow stop the run.")

    def to_json(self) -> str:
        """Returns the bounds as text."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> GateBounds:
        """Returns the bounds in a text of `to_json`."""
        return cls.model_validate_json(text)


def load_bounds(assignments: Sequence[str]) -> GateBounds:
    """Returns the bounds with some of them changed.

    Args:
        assignments: `KEY=VALUE`.

    Raises:
        ConfigError: An unknown key, or a value outside its domain.

    Example:
        >>> load_bounds(["plausible_times=false"]).plausible_times
        False
    """
    return load_section(GateBounds, assignments, flag="--anomalies")
