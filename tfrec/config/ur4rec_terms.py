"""What the names of experts and losses of UR4Rec mean, for whoever shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tfrec.config.joint_objective_config import JointObjectiveConfig

EXPERTS = {
    "preferences": "looks at the text of the user and the mean text of his items",
    "descriptions": "looks at the texts of his latest items",
    "embeddings": "looks at the learned vectors of his latest items",
}
"""What an expert compares a candidate with, by its name."""

LOSSES = {
    "sasrec": "finding the next items, by the SASRec branch",
    "retriever": "finding the next items, by the retriever",
    "fused": "finding the next items, by the fused scores",
    "consistency": "distance between text and learned vector of an item",
    "contrastive": "finding the next items, by the vector of the user alone",
    "diversity": "likeness of the proxy tokens",
    "distillation": "difference between the rankings of the two branches",
}
"""What a loss measures, by its name; in `history.csv` it is `NAME_loss`, in the configuration `joint.NAME_weight`."""

MAIN_LOSSES = ("sasrec", "retriever", "fused")
"""Losses whose weights may be learned (`joint.uncertainty`); the others are additions to the retriever's."""


def explained(names: Collection[str], meanings: Mapping[str, str]) -> str:
    """Returns the names that have a meaning with it, in their order, for people; empty where none has."""
    return "; ".join(f"{name}: {meanings[name]}" for name in names if name in meanings)


def weighted_losses(names: Collection[str], joint: JointObjectiveConfig, *, alone: bool) -> str:
    """Returns the sum that a stage minimises, with what its terms are, for people.

    Args:
        names: Losses of the stage.
        joint: Their weights.
        alone: The stage trains one branch, whose own loss then has the weight 1.

    Example:
        >>> weighted_losses(["retriever"], JointObjectiveConfig(), alone=True)
        'retriever (finding the next items, by the retriever)'
    """
    terms = []
    for name in names:
        weight = f"{getattr(joint, f'{name}_weight'):g} "
        if name in MAIN_LOSSES:
            weight = "" if alone else "learned weight x " if joint.uncertainty else weight
        terms.append(f"{weight}{name} ({LOSSES[name]})")
    return " + ".join(terms)
