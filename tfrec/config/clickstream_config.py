"""Size and dynamics of the built-in clickstream."""

from __future__ import annotations

from pydantic import Field, model_validator

from tfrec.config.strict_model import StrictModel


class ClickstreamConfig(StrictModel):
    """Size and dynamics of the synthetic clickstream."""

    num_sessions: int = Field(20_000, ge=1, description="Number of sessions.")
    num_items: int = Field(2_000, ge=10, description="Number of items.")
    num_categories: int = Field(40, ge=1, description="Number of item categories.")
    num_interests: int = Field(5, ge=1, description="Number of hidden session types; each favours its own categories.")
    num_successors: int = Field(10, ge=1, description="Items that tend to follow a given item.")
    family_size: int = Field(8, ge=1, description="Number of similar items, which share their successors.")
    interest_boost: float = Field(20.0, gt=0, description="Weight of a successor the session's interest favours.")
    follow_last: float = Field(0.4, ge=0, le=1, description="Probability of a successor of the last item.")
    follow_previous: float = Field(0.25, ge=0, le=1, description="Probability of a successor of the item before that.")
    follow_interest: float = Field(0.25, ge=0, le=1, description="Probability of any item of the session's interest.")
    zipf_exponent: float = Field(1.0, ge=0, description="Popularity of the item of rank r is proportional to r^-this.")
    mean_length: float = Field(6.0, ge=2, description="Mean number of events of a session; at least 2 each.")
    max_length: int = Field(50, ge=2, description="Largest number of events of a session.")
    num_days: float = Field(10.0, gt=0, description="Sessions start uniformly within this many days.")
    start_time: float = Field(1_700_000_000.0, ge=0, description="Seconds since the epoch of the first possible event.")
    seed: int = Field(0, ge=0, description="Seed of the world and of its sessions.")

    @model_validator(mode="after")
    def _consistent(self) -> ClickstreamConfig:
        if self.follow_last + self.follow_previous + self.follow_interest >= 1:
            raise ValueError("follow_last + follow_previous + follow_interest must be below 1 (the rest is popularity)")
        if not self.num_interests <= self.num_categories <= self.num_items:
            raise ValueError("num_interests <= num_categories <= num_items is required")
        return self
