"""What is known of one trial."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["running", "completed", "failed"]


@dataclass
class TrialRecord:
    """One trial, as it stands in `trials.json`.

    Attributes:
        number: Trials are counted from 0.
        values: Settings of the trial by dotted key.
        codes: What the searcher proposed, in its own terms; a search is continued from them.
        random_state: Where the searcher's stream of random numbers stands after the proposal.
        status: `running` until it has ended.
        score: Objective on the validation split.
        metrics: All metrics of that split.
        reason: Why it failed.
        epochs: Epochs trained in all, or None for models that have none.
        continued_from: Trial whose training it continued.
        seconds: Time of training and measuring, interruptions left out.
        attempts: How often a process started it; more than once after a kill.
    """

    number: int
    values: dict[str, Any]
    codes: dict[str, Any]
    random_state: int
    status: Status = "running"
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    epochs: int | None = None
    continued_from: int | None = None
    seconds: float = 0.0
    attempts: int = 0

    @property
    def name(self) -> str:
        """Name of its run directory."""
        return f"{self.number:04d}"

    def document(self) -> dict[str, Any]:
        """Returns it as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> TrialRecord:
        """Reads what `document` wrote; keys that it does not know are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in document.items() if key in known})
