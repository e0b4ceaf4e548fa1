"""How retrieved lists are ordered anew, to see what diversity costs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tfrec.config.strict_model import StrictModel

RerankMethod = Literal["mmr", "novelty", "calibration"]


class RerankConfig(StrictModel):
    """Re-ranking of the best candidates of the model: accuracy against diversity, novelty and calibration."""

    methods: list[RerankMethod] = Field(
        [],
        description="mmr: items unlike each other; novelty: less popular ones; calibration: categories as in the "
        "history. Empty: lists stay as they are.",
    )
    candidates: int = Field(100, ge=2, description="How many of the best candidates are ordered anew.")
    length: int = Field(10, ge=1, description="Length of the lists that are measured.")
    strengths: list[float] = Field(
        [0.1, 0.2, 0.3, 0.5, 0.7, 0.9], min_length=1, description="0 would be the order as it was, 1 without scores."
    )
    vectors: str = Field(
        "", description="Item vectors that say what is alike. Default: the category, else the vectors of the model."
    )
    category: str = Field("", description="Item feature for calibration and likeness. Default: the first list.")
    max_lists: int = Field(10_000, ge=1, description="Lists that are measured, drawn evenly from all targets.")
    seed: int = Field(0, ge=0, description="Seed of that draw.")

    @field_validator("strengths")
    @classmethod
    def _between(cls, strengths: list[float]) -> list[float]:
        if any(not 0 < strength <= 1 for strength in strengths) or len(set(strengths)) < len(strengths):
            raise ValueError("strengths lie above 0 and up to 1, each once")
        return sorted(strengths)

    @field_validator("methods")
    @classmethod
    def _once(cls, methods: list[RerankMethod]) -> list[RerankMethod]:
        if len(set(methods)) < len(methods):
            raise ValueError("a method is given twice")
        return methods

    @model_validator(mode="after")
    def _room(self) -> RerankConfig:
        if self.length > self.candidates:
            raise ValueError(f"lists of {self.length} cannot be made of {self.candidates} candidates")
        return self
