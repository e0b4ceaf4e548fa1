"""Bounds of the anomaly gate."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class GateBounds:
    """How much data may differ from the last that passed the gate, beyond what the schema says.

    Attributes:
        new_item_events: Share of the training events that may be of items which the last run's training did not have.
        unknown_item_events: Share of the valid and test events that may be of items without training events.
        row_reversals: Share of the rows of a user or session that may be earlier than the row before, when there were
            almost none in the last run.
        plausible_times: Whether times before 1990 or after tomorrow stop the run.
    """

    new_item_events: float = 0.3
    unknown_item_events: float = 0.3
    row_reversals: float = 0.1
    plausible_times: bool = True

    def to_json(self) -> str:
        """Returns the bounds as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> GateBounds:
        """Returns the bounds in a text of `to_json`."""
        return cls(**json.loads(text))
