"""Architecture of UR4Rec: a SASRec branch, a retriever by preferences and texts, a user memory, a fusion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tfrec.config.sasrec_config import SASRecConfig
from tfrec.config.strict_model import StrictModel

_UNREAD = ("item_features", "item_vectors", "user_features", "user_vectors")


class RetrieverConfig(StrictModel):
    """Mixture of experts that compare a candidate with the texts and items that a user prefers."""

    dim: int = Field(32, ge=1, description="Width of all vectors of the retriever.")
    heads: int = Field(2, ge=1, description="Heads of the experts' attention; must divide `dim`.")
    window: int = Field(20, ge=1, description="Latest events of a user that candidates are compared with.")
    proxies: int = Field(4, ge=1, description="Learned proxy tokens of the aggregation.")
    proxy_heads: int = Field(4, ge=1, description="Heads of the aggregation; must divide `dim`.")
    temperature: float = Field(0.07, gt=0, description="Cosines are divided by it.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Drop-out of projections, experts and aggregation.")
    embeddings: bool = Field(True, description="Learned item vectors, the second modality, and the expert of them.")
    id_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of candidates whose learned vector is left out of a step: the text learns to stand in for "
        "it, as it must for cold items. Without effect unless there are item texts.",
    )
    item_texts: str | None = Field(None, description="Name of the vectors of item texts (`tfrec.texts encode`).")
    user_texts: str | None = Field(None, description="Name of the vectors of user texts; null: none.")
    user_text_dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of users whose text is left out of a step: texts may have seen the targets of training.",
    )
    history_preference: bool = Field(
        True, description="The mean of the item texts of a user's history is a preference text, too."
    )
    init_stddev: float = Field(0.05, gt=0, description="Standard deviation of initial item vectors and tokens.")

    @model_validator(mode="after")
    def _fits(self) -> RetrieverConfig:
        for name in ("heads", "proxy_heads"):
            if self.dim % getattr(self, name):
                raise ValueError(f"`{name}` ({getattr(self, name)}) must divide `dim` ({self.dim})")
        if not self.embeddings and self.item_texts is None:
            raise ValueError("without `embeddings` and `item_texts` nothing is known of an item")
        return self


class MemoryConfig(StrictModel):
    """One vector per user that is carried from step to step."""

    enabled: bool = Field(True, description="Keep a memory; only where the data have users.")
    trigger: Literal["count", "time", "drift", "explicit"] = Field(
        "count",
        description="When a memory is written anew: after so many events, after so many steps, when the user has "
        "changed, or only when it is asked for.",
    )
    interactions: int = Field(10, ge=1, description="count: events that training went through since the last update.")
    steps: int = Field(10, ge=1, description="time: training steps since the last update.")
    drift: float = Field(0.3, gt=0, le=2, description="drift: update below a cosine of 1 minus this.")
    decay: float = Field(0.95, ge=0, lt=1, description="Share of the old memory in an update that is not forced.")
    history: int = Field(10, ge=0, description="Former states that are kept of every user.")
    share: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Leading share of a training sequence that the memory is made of; the targets come after it, so no "
        "memory holds what it helps to predict.",
    )


class FusionConfig(StrictModel):
    """How the standardised scores of both branches become one."""

    mode: Literal["weighted", "learned", "adaptive"] = Field(
        "learned", description="Fixed weights, two learned ones, or weights made of both branches' view of the user."
    )
    sasrec_weight: float = Field(0.5, ge=0, description="weighted: 0 switches the branch and its loss off.")
    retriever_weight: float = Field(0.5, ge=0, description="weighted: 0 switches the branch and its loss off.")
    hidden: int = Field(64, ge=1, description="adaptive: hidden width.")

    @model_validator(mode="after")
    def _something_is_left(self) -> FusionConfig:
        if self.mode == "weighted" and not self.sasrec_weight + self.retriever_weight > 0:
            raise ValueError("one of `sasrec_weight` and `retriever_weight` must be positive")
        for name in ("sasrec_weight", "retriever_weight"):
            if self.mode != "weighted" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"mode `{self.mode}` finds the weights itself; `{name}` goes with mode `weighted`")
        return self


class UR4RecConfig(StrictModel):
    """Architecture of UR4Rec.

    Reference: ww93/MLLM (7eb3b3d), UR4Rec.
    """

    use_sasrec: bool = Field(True, description="false: no SASRec branch, and no loss of it.")
    use_retriever: bool = Field(True, description="false: no retriever, no memory, and no loss of them.")
    sasrec: SASRecConfig = Field(default_factory=SASRecConfig)
    retriever: RetrieverConfig = Field(default_factory=RetrieverConfig)
    memory: MemoryConfig = Field(default_factory=MemoryConfig)
    fusion: FusionConfig = Field(default_factory=FusionConfig)

    @model_validator(mode="after")
    def _a_branch_is_left(self) -> UR4RecConfig:
        if not self.has_sasrec and not self.has_retriever:
            raise ValueError("both branches are switched off")
        if self.retriever.window > self.sasrec.max_length:
            raise ValueError(
                f"`retriever.window` ({self.retriever.window}) must not exceed `sasrec.max_length` "
                f"({self.sasrec.max_length}), the events of a user that are read at all"
            )
        unread = [name for name in _UNREAD if getattr(self.sasrec, name)]
        if unread:
            raise ValueError(
                f"this model reads no `sasrec.{unread[0]}`, its SASRec branch knows users and items by their events "
                "alone; texts go to `retriever.item_texts` and `retriever.user_texts`"
            )
        return self

    @property
    def has_sasrec(self) -> bool:
        """Whether the SASRec branch is on: neither switched off nor of weight 0."""
        return self.use_sasrec and not (self.fusion.mode == "weighted" and self.fusion.sasrec_weight == 0)

    @property
    def has_retriever(self) -> bool:
        """Whether the retriever is on: neither switched off nor of weight 0."""
        return self.use_retriever and not (self.fusion.mode == "weighted" and self.fusion.retriever_weight == 0)
