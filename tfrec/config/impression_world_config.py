"""Size and planted effects of the synthetic impression log."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class ImpressionWorldConfig(StrictModel):
    """A log with the columns of the Toss click competition whose best attainable AUC is known."""

    num_rows: int = Field(20_000, ge=100, description="Impressions.")
    num_tokens: int = Field(548, ge=20, description="Distinct tokens of the sequences.")
    num_groups: int = Field(6, ge=2, description="Hidden groups of tokens, which inventories like or dislike.")
    median_length: float = Field(464.0, gt=1, description="Median length of the sequences.")
    length_spread: float = Field(0.75, ge=0, description="Standard deviation of the logarithm of the length.")
    max_length: int = Field(6590, ge=1, description="Longest sequence.")
    click_rate: float = Field(0.018, gt=0, lt=1, description="Mean probability of a click.")
    num_days: int = Field(7, ge=1, le=7, description="Days; rows come day after day.")
    sequence_effect: float = Field(1.6, ge=0, description="Weight of recent tokens that suit the inventory.")
    recency: float = Field(0.8, gt=0, lt=1, description="A token's weight falls by this factor per later token.")
    cross_effect: float = Field(0.8, ge=0, description="Weight of the products of hour, inventory and age.")
    main_effect: float = Field(0.4, ge=0, description="Weight of single columns.")
    missing_rate: float = Field(0.0024, ge=0, lt=1, description="Rows without gender and age.")
    seed: int = Field(0, ge=0, description="Decides the world and its rows.")
