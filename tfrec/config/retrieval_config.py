"""Settings of the retrieval task of TensorFlow Recommenders."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrec.config.strict_model import StrictModel


class RetrievalConfig(StrictModel):
    """Softmax over the targets of a batch, by `tfrs.tasks.Retrieval`."""

    temperature: float = Field(1.0, gt=0, description="Scores are divided by it before the softmax.")
    sampling_correction: Literal["counts", "none"] = Field(
        "counts",
        description="Subtract the log probability of being a candidate, from the counts of the training split.",
    )
    remove_accidental_hits: bool = Field(
        False,
        description="Further copies of the target are no negatives. With sampling_correction this favours frequent "
        "targets: TFRS then counts them once, though corrected as if all copies were there.",
    )
    exclude_history: bool = Field(True, description="Items of the target's own sequence are no negatives.")
    num_hard_negatives: int = Field(0, ge=0, description="Keep only so many negatives, those of highest score; 0: all.")
    uniform_negatives: int = Field(
        0, ge=0, description="Further negatives per group, drawn uniformly: items that are rarely targets are met too."
    )
    group_size: int = Field(
        1024, ge=2, description="Targets that are each other's negatives; more in a batch are dealt into equal groups."
    )
