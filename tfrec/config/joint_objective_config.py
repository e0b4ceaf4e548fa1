"""What a model of two branches minimises besides the loss of its first branch."""

from __future__ import annotations

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class JointObjectiveConfig(StrictModel):
    """Losses over candidate lists (the targets of a step and uniform draws) and how they are joined."""

    num_negatives: int = Field(256, ge=1, description="Uniform draws in the candidate list of a step.")
    targets_per_sequence: int = Field(
        8, ge=1, description="Events after one random cut of a sequence that are predicted from the events before it."
    )
    last_events: int = Field(
        0,
        ge=0,
        description="Cut only among so many last events of a training sequence; 0: anywhere. For user texts that were "
        "made without these events.",
    )
    sasrec_weight: float = Field(0.5, ge=0, description="Weight of the SASRec branch's own loss; 0: none.")
    retriever_weight: float = Field(0.5, ge=0, description="Weight of the retriever's loss; 0: none.")
    fused_weight: float = Field(1.0, ge=0, description="Weight of the loss of the fused scores; 0: none.")
    uncertainty: bool = Field(
        False,
        description="Learn the weights of these three: weight exp(-s) loss + s, with a learned s of each, at first 0.",
    )
    consistency_weight: float = Field(
        0.1, ge=0, description="Weight of the squared distance between text and learned vector of an item; 0: none."
    )
    contrastive_weight: float = Field(
        0.1, ge=0, description="Weight of InfoNCE between a user's vector and the items of his targets; 0: none."
    )
    contrastive_temperature: float = Field(0.07, gt=0, description="Temperature of InfoNCE.")
    diversity_weight: float = Field(
        0.0, ge=0, description="Weight of -log det(S + 0.1 I) over the cosines S of the proxy tokens; 0: none."
    )
    distillation_weight: float = Field(
        0.0, ge=0, description="Weight of what each branch learns of the other's ranking of the candidates; 0: none."
    )
    distillation_temperature: float = Field(4.0, gt=0, description="Temperature of distillation.")
