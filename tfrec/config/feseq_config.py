"""Architecture of FESeq and of BST, which is a part of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrec.config.click_model_config import ClickModelConfig
from tfrec.config.strict_model import aliased

InteractionKind = Literal["cross_v1", "cross_v2", "cross_mix", "autoint", "destine", "final"]
PoolingKind = Literal["mean", "sum", "target", "concat", "weighted_sum", "position_weighted"]
_INTERACTION = "How features interact at every position."
_POOLING = (
    "Of positions; weighted_sum by relevance for the target, position_weighted by one learned number per distance."
)


class FESeqConfig(ClickModelConfig):
    """Architecture of FESeq: interacting features at every position of the list, a transformer, pooling, a network.

    Reference: Feature Interaction-Enhanced Sequential Transformer, Applied Sciences 14(7):2760, 2024.
    """

    target: list[str] = Field(["inventory_id"], min_length=1, description="What the click is about, one per list.")
    sequence: list[str] = Field([], description="Lists, one per target; empty: all lists of ids.")
    context: list[str] | None = Field(None, description="Features repeated at all positions; null: all other ids.")
    interaction: Literal["none", InteractionKind] = Field("cross_v2", description=_INTERACTION)
    interaction_layers: int = Field(2, ge=1, description="Interaction layers.")
    interaction_dropout: float = aliased(0.1, "fi_dropout", "Drop-out of interaction layers.", ge=0, lt=1)
    item_interaction_layers: int = Field(
        0, ge=0, description="Interaction layers of the item that weighted_sum asks about; 0: none."
    )
    heads: int = aliased(4, "num_heads", "Attention heads.", ge=1)
    blocks: int = aliased(2, "stacked_transformer_layers", "Transformer blocks.", ge=1)
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="Drop-out of attention weights.")
    layer_norm: bool = Field(True, description="Layer norm after each sub-layer.")
    residual: bool = aliased(True, "use_residual", "Residuals around each sub-layer.")
    causal: bool = aliased(False, "use_causal_mask", "A position sees only itself and those before it.")
    positions: bool = aliased(True, "use_pos", "A vector of the distance to the target.")
    num_positions: int = Field(
        0,
        ge=0,
        description="Vectors of distances: half of them for the nearest ones, the others shared by more and more of "
        "those further away, as do the numbers of position_weighted; 0: every distance has its own.",
    )
    time_target: str | None = Field(None, description="Number that is the time of the impression; null: no times.")
    time_sequence: str | None = Field(None, description="List of numbers: the time of every entry.")
    time_log_base: float = Field(-1.0, description="Base of the logarithm of 1 + time differences; not above 1: none.")
    num_times: int = aliased(4001, "num_time_embeddings", "Rows of the table of time differences.", ge=2)
    pooling: PoolingKind = Field("mean", description=_POOLING)
    relevance: Literal["bilinear", "dot", "din"] = Field("bilinear", description="Score of weighted_sum.")
    relevance_dim: int = aliased(64, "rel_score_hidden_dim", "Width of queries and keys of weighted_sum.", ge=1)
    relevance_scale: bool = aliased(True, "use_pooling_attn_scale", "Divide scores by the root of their width.")
    target_items: list[str] = aliased(
        [], "target_item_field", "Features of the item that weighted_sum asks about; empty: the ids among `target`."
    )

    @model_validator(mode="after")
    def _fits(self) -> FESeqConfig:
        if (self.time_target is None) != (self.time_sequence is None):
            raise ValueError("`time_target` and `time_sequence` go together")
        if self.num_positions == 1:
            raise ValueError("`num_positions=1` tells no distances apart: take 0, or at least 2")
        if self.num_positions > self.max_length:
            raise ValueError(
                f"with `num_positions={self.num_positions}` and `max_length={self.max_length}` every distance has a "
                "vector of its own: take 0"
            )
        if self.num_positions and not self.positions and self.pooling != "position_weighted":
            raise ValueError("`num_positions` is for `positions=true` or `pooling=position_weighted`: take 0")
        return self


class BSTConfig(FESeqConfig):
    """Architecture of BST: a transformer over the list and the target, without interaction layers.

    Reference: Behavior Sequence Transformer, arXiv 1905.06874.
    """

    context: list[str] | None = Field([], description="Features repeated at all positions; null: all other ids.")
    interaction: Literal["none", InteractionKind] = Field("none", description=_INTERACTION)
    blocks: int = aliased(1, "stacked_transformer_layers", "Transformer blocks.", ge=1)
    pooling: PoolingKind = Field("target", description=_POOLING)
    activation: Literal["relu", "leaky_relu", "dice", "sigmoid", "tanh"] = aliased(
        "leaky_relu", "dnn_activations", "Activation of hidden layers; leaky_relu has a slope of 0.01."
    )
