"""Architecture of HSTU."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrec.config.user_inputs_config import UserInputsConfig


class HSTUConfig(UserInputsConfig):
    """Architecture of HSTU and its variants.

    Reference: arXiv 2402.17152; rotary time as in the Tencent advertising challenge of 2025 (arXiv 2604.04976).
    """

    dim: int = Field(64, ge=1, description="Width of item vectors and states.")
    blocks: int = Field(2, ge=1, description="Layers.")
    heads: int = Field(2, ge=1, description="Attention heads.")
    key_dim: int = Field(0, ge=0, description="Width of queries and keys of a head; 0: dim / heads.")
    value_dim: int = Field(0, ge=0, description="Width of values and gates of a head; 0: dim / heads.")
    max_length: int = Field(50, ge=1, description="Most recent events that the model sees.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Drop-out of inputs and gated values.")
    norm: Literal["layer", "rms"] = Field("layer", description="Layer norm, or norm by the root mean square.")
    norm_scale: bool = Field(True, description="Norms have learned scales (and shifts); the first HSTU has none.")
    norm_epsilon: float = Field(1e-6, gt=0, description="Epsilon of norms.")
    gate: Literal["product", "concat"] = Field("product", description="Output of u * a, or of [u, a, u * a].")
    normalize_by: Literal["max_length", "length"] = Field(
        "max_length", description="Attention weights are divided by `max_length`, or by the number of events so far."
    )
    positions: Literal["from_end", "from_start", "none"] = Field(
        "from_end", description="Learned positions, counted from the latest event back, or from the first one."
    )
    relative_positions: bool = Field(True, description="Learned bias of attention per number of events in between.")
    relative_times: bool = Field(
        True,
        description="Learned bias of attention per time between a past event and the one that is predicted: the time "
        "of the request is an input.",
    )
    rotary_time: bool = Field(False, description="Queries and keys are turned by the time since the first event.")
    rotary_unit: float = Field(60.0, gt=0, description="Seconds of one unit of rotary time.")
    rotary_base: float = Field(
        10_000.0, gt=1, description="Wave length of the slowest pair over 2 pi, about, in units."
    )
    output_norm: bool = Field(
        False,
        description="A norm after the last layer, as SASRec has it; without, only cosines bound the scores.",
    )
    scale_inputs: bool = Field(True, description="Multiply item vectors by sqrt(dim) at the input.")
    similarity: Literal["dot", "cosine"] = Field("dot", description="Score of a state and an item vector.")
    init_stddev: float = Field(0.02, gt=0, description="Standard deviation of initial item and position vectors.")

    @model_validator(mode="after")
    def _fits(self) -> HSTUConfig:
        if not (self.key_dim and self.value_dim) and self.dim % self.heads:
            raise ValueError(
                f"`heads` ({self.heads}) must divide `dim` ({self.dim}), or give `key_dim` and `value_dim`"
            )
        if self.rotary_time and self.head_key_dim % 2:
            raise ValueError(f"`rotary_time` turns pairs: the width of keys ({self.head_key_dim}) must be even")
        return self

    @property
    def head_key_dim(self) -> int:
        """Width of queries and keys of a head."""
        return self.key_dim or self.dim // self.heads

    @property
    def head_value_dim(self) -> int:
        """Width of values and gates of a head."""
        return self.value_dim or self.dim // self.heads
