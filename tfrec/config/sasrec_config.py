"""Architecture of SASRec."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrec.config.user_inputs_config import UserInputsConfig


class SASRecConfig(UserInputsConfig):
    """Architecture of SASRec and its variants.

    Reference: arXiv 1808.09781; gates and SwiGLU as in LiGR and eSASRec (arXiv 2502.03417, 2508.06450).
    """

    dim: int = Field(64, ge=1, description="Width of item vectors and states.")
    blocks: int = Field(2, ge=1, description="Transformer blocks.")
    heads: int = Field(2, ge=1, description="Attention heads; must divide `dim`.")
    max_length: int = Field(50, ge=1, description="Most recent events that the model sees.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Drop-out of inputs, attention weights and sub-layers.")
    norm: Literal["pre", "post", "reference"] = Field(
        "pre",
        description="Layer norm before each sub-layer, after it, or as the first SASRec had it: the normalised query "
        "is the residual, keys and values are not normalised.",
    )
    norm_kind: Literal["layer", "rms"] = Field("layer", description="Layer norm, or norm by the root mean square.")
    norm_epsilon: float = Field(1e-6, gt=0, description="Epsilon of norms.")
    feed_forward: Literal["relu", "gelu", "swiglu"] = Field("relu", description="Kind of feed-forward sub-layer.")
    expansion: float = Field(1.0, gt=0, description="Hidden width of the feed-forward sub-layer, in multiples of dim.")
    gated: bool = Field(False, description="Sigmoid gates on the output of both sub-layers; needs `norm: pre`.")
    attention_projection: bool = Field(True, description="Dense layer after the heads are joined.")
    positions: Literal["from_end", "from_start", "none"] = Field(
        "from_end", description="Learned positions, counted from the latest event back, or from the first one."
    )
    scale_inputs: bool = Field(True, description="Multiply item vectors by sqrt(dim) at the input.")
    item_bias: bool = Field(False, description="Add a learned bias to the score of each item.")
    similarity: Literal["dot", "cosine"] = Field("dot", description="Score of a state and an item vector.")
    init_stddev: float = Field(0.02, gt=0, description="Standard deviation of initial item and position vectors.")

    @model_validator(mode="after")
    def _fits(self) -> SASRecConfig:
        if self.dim % self.heads:
            raise ValueError(f"`heads` ({self.heads}) must divide `dim` ({self.dim})")
        if self.gated and self.norm != "pre":
            raise ValueError("`gated` needs `norm: pre`")
        return self
