"""How a trained model is measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tfrec.config.rerank_config import RerankConfig
from tfrec.config.strict_model import StrictModel


class SampledConfig(StrictModel):
    """Candidates of the sampled protocol: the target and a few negatives that are the same for every model."""

    num_negatives: int = Field(99, ge=1, description="Negatives per target; 99 makes 100 candidates.")
    distribution: Literal["uniform", "popularity"] = Field(
        "uniform", description="popularity: in proportion to the number of training events."
    )
    exclude_history: bool = Field(False, description="Items of the user's history are no negatives.")
    seed: int = Field(0, ge=0, description="Fixes the negatives, whatever the seed of the run.")


class BootstrapConfig(StrictModel):
    """Intervals by resampling users (sessions where there are no users)."""

    samples: int = Field(1000, ge=0, description="Number of resamples; 0: no intervals.")
    confidence: float = Field(0.95, gt=0, lt=1, description="What an interval is meant to cover.")
    seed: int = Field(0, ge=0, description="The same seed gives the same intervals.")


class EvaluationConfig(StrictModel):
    """How the trained model is measured."""

    split: Literal["valid", "test"] = Field("test", description="Split that is reported.")
    protocol: Literal["full", "sampled", "both"] = Field(
        "full", description="Rank each target among the whole catalogue, among sampled negatives, or both side by side."
    )
    cutoffs: list[int] = Field([1, 5, 10, 20], min_length=1, description="Cut-offs of all metrics.")
    tie_rule: Literal["standard", "conservative", "median"] = Field(
        "conservative", description="Rank of a target among equal scores; published numbers use conservative."
    )
    exclude_history: bool = Field(
        False, description="Full ranking: items already in the sequence are no candidates (the target always is)."
    )
    targets_per_sequence: int = Field(
        0, ge=0, description="Rank only so many of the last targets of each sequence; 0: all of them."
    )
    sampled: SampledConfig = Field(default_factory=SampledConfig)
    bootstrap: BootstrapConfig = Field(default_factory=BootstrapConfig)
    rerank: RerankConfig = Field(default_factory=RerankConfig)
    details: bool = Field(
        True, description="Also top lists, slices, similarities and the leak audit; false: the metrics alone."
    )
    cold_events: int = Field(5, ge=1, description="Items with fewer training events are the slice `cold`.")
    batch_size: int = Field(256, ge=1, description="Sequences per evaluation batch.")
    parts: bool = Field(True, description="Also measure the model without some of its parts, where it has such.")
    baselines: list[str] = Field(
        ["popularity", "session_popularity", "markov", "item_knn"], description="Counting models to compare with."
    )

    @field_validator("cutoffs")
    @classmethod
    def _positive(cls, cutoffs: list[int]) -> list[int]:
        if any(cutoff < 1 for cutoff in cutoffs):
            raise ValueError("every cut-off must be at least 1")
        if len(set(cutoffs)) != len(cutoffs):
            raise ValueError("a cut-off is given twice")
        return cutoffs
