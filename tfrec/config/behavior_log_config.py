"""Size and dynamics of the built-in behaviour log."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class BehaviorLogConfig(StrictModel):
    """Size and dynamics of the synthetic log of users with stable interests."""

    num_users: int = Field(2_000, ge=1, description="Number of users.")
    num_categories: int = Field(200, ge=1, description="Number of item categories.")
    styles_per_category: int = Field(5, ge=1, description="Kinds of items of a category; an interest is in one kind.")
    items_per_style: int = Field(20, ge=1, description="Items of a kind.")
    interests_per_user: int = Field(4, ge=1, description="Interests of a user, of different strength.")
    follow_interest: float = Field(0.7, ge=0, le=1, description="Share of visits to an interest; the rest: anything.")
    stay: float = Field(0.5, ge=0, lt=1, description="Probability that the next event stays with what the last was of.")
    zipf_exponent: float = Field(1.0, ge=0, description="Popularity of the category of rank r ~ r^-this.")
    mean_events: float = Field(60.0, ge=20, description="Mean number of events of a user; at least 10 each.")
    max_events: int = Field(400, ge=20, description="Largest number of events of a user.")
    num_days: int = Field(31, ge=1, description="Days of the log.")
    start_time: int = Field(1_416_268_800, ge=0, description="Seconds since the epoch of its first hour.")
    seed: int = Field(0, ge=0, description="Seed of the world and of its users.")
