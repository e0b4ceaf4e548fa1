"""What a stage of a training of UR4Rec trains, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.joint_objective_config import JointObjectiveConfig
from tfrec.config.stages_config import StageName
from tfrec.models.alternation import Alternation
from tfrec.models.ur4rec import UR4Rec

SASREC, RETRIEVER = "sasrec", "retriever"


@dataclass(frozen=True)
class StagePlan:
    """What a stage trains, and how.

    Attributes:
        stage: Name of the stage.
        objective: Loss of the states of the SASRec branch.
        joint: Losses over lists of candidates.
        item_counts: Training events per index, `[vocab]`.
        optimizers: Optimisers of the branches that the stage trains, built, by `sasrec` and `retriever`.
        alternation: Whose turn it is, in `joint_finetune` of two branches.
    """

    stage: StageName
    objective: Callable[..., tf.Tensor]
    joint: JointObjectiveConfig
    item_counts: NDArray[Any]
    optimizers: Mapping[str, Any]
    alternation: Alternation | None = None


def branch_variables(model: UR4Rec, branch: str) -> list[keras.Variable]:
    """Returns what is trained with a branch: the fusion and the weights of the losses go with the retriever."""
    if branch == SASREC:
        return list(model.sasrec.trainable_variables) if model.sasrec is not None else []
    parts: list[Any] = [model.retriever, model.memory, model.fusion]
    found = [variable for part in parts if part is not None for variable in part.trainable_variables]
    return [*found, model.loss_scales] if model.retriever is not None else []
