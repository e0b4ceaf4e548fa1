"""Architecture of the long-term interest model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrec.config.strict_model import StrictModel, aliased


class LongTermInterestConfig(StrictModel):
    """Windows, event vectors, towers and mixture of experts.

    Reference: zy-hang/LongTermInterestModel, whose command-line flags are the aliases.
    """

    long_length: int = aliased(100, "n_long", "Latest events of the long window that the long tower reads.", ge=1)
    short_length: int = aliased(10, "n_short", "Latest events of the short window that the short tower reads.", ge=1)
    long_share: float = Field(0.9, gt=0, lt=1, description="Share of a user's events in the long window; rest: short.")
    export_window: Literal["last", "first"] = Field(
        "last", description="Part of a history that published and served vectors read, long_length events."
    )
    item_dim: int = aliased(128, "item_embedding_dim", "Width of an item's vector.", ge=1)
    item_features: list[str] = Field(
        ["item_category"], description="Categories of items to embed, where the data set has them."
    )
    item_feature_dim: int = aliased(64, "cate_dim", "Width of the vector of an item's category.", ge=1)
    event_features: list[str] = Field(
        ["behavior_type"], description="Features of events to embed, where the data set has them."
    )
    event_feature_dim: int = Field(8, ge=1, description="Width of the vector of an event's feature.")
    weekday_dim: int = Field(3, ge=1, description="Width of a weekday's vector.")
    hour_dim: int = Field(5, ge=1, description="Width of an hour's vector.")
    init_stddev: float = Field(1.0, gt=0, description="Standard deviation of initial event vectors.")
    dim: int = aliased(128, "hidden_dim", "Width of a user's vector.", ge=1)
    depth: int = Field(4, ge=1, description="Blocks of a tower.")
    heads: int = Field(8, ge=1, description="Attention heads.")
    head_dim: int = aliased(64, "dim_head", "Width of a head; even, for rotary positions.", ge=2, multiple_of=2)
    dropout: float = Field(0.1, ge=0, lt=1, description="Drop-out of attention weights and attention outputs.")
    readout: Literal["cls", "mean"] = Field("cls", description="What a window becomes: class token, or mean of events.")
    use_mask: bool = Field(True, description="Padding is neither attended to nor routed; published: false.")
    moe_position: Literal["inside", "input", "none"] = Field(
        "inside", description="Experts in every block, once before the towers and shared by both, or nowhere."
    )
    experts: int = aliased(10, "moe_experts", "Routed experts of a mixture.", ge=1)
    active_experts: int = aliased(2, "moe_activated", "Experts that an event passes through.", ge=1)
    expert_hidden: int = aliased(0, "moe_hidden", "Width inside an expert; 0: four times that of an event.", ge=0)
    shared_experts: int = Field(1, ge=0, description="Experts that every event passes through.")
    expert_score: Literal["sigmoid", "softmax"] = Field("sigmoid", description="Score of the gate.")
    route_scale: float = Field(1.0, gt=0, description="Factor of the routed part.")
    expert_groups: int = Field(1, ge=1, description="Groups of experts.")
    active_groups: int = Field(1, ge=1, description="Groups that an event selects from.")
    balance: Literal["bias", "usage", "auxiliary", "none"] = Field(
        "bias",
        description="What keeps experts equally busy: a bias of the selection, division by the usage of the last epoch "
        "(as published; it oscillates), a term of the loss, or nothing.",
    )
    balance_speed: float = Field(0.01, gt=0, description="Step of the bias.")
    balance_decay: float = Field(0.9, ge=0, lt=1, description="Share of the past in the usage that the bias follows.")

    @model_validator(mode="after")
    def _experts_fit(self) -> LongTermInterestConfig:
        if self.experts % self.expert_groups:
            raise ValueError(f"expert_groups={self.expert_groups} does not divide experts={self.experts}")
        open_experts = self.experts // self.expert_groups * min(self.active_groups, self.expert_groups)
        if self.active_experts > open_experts:
            raise ValueError(f"active_experts={self.active_experts} of {open_experts} that can be selected")
        return self
