"""Losses of UR4Rec: every one has its meaning, and the sum of a stage is written out."""

from __future__ import annotations

from tfrec.config.joint_objective_config import JointObjectiveConfig
from tfrec.config.ur4rec_terms import LOSSES, weighted_losses


def test_every_weight_belongs_to_an_explained_loss() -> None:
    weights = [name for name in JointObjectiveConfig.model_fields if name.endswith("_weight")]
    assert sorted(f"{name}_weight" for name in LOSSES) == sorted(weights)


def test_the_sum_of_a_stage_is_written_out() -> None:
    joint = JointObjectiveConfig(retriever_weight=0.25, contrastive_weight=0.1)
    names = ["retriever", "contrastive"]
    both = f"retriever ({LOSSES['retriever']}) + 0.1 contrastive ({LOSSES['contrastive']})"
    assert weighted_losses(names, joint, alone=True) == both
    assert weighted_losses(names, joint, alone=False) == f"0.25 {both}"
    learned = joint.model_copy(update={"uncertainty": True})
    assert weighted_losses(names, learned, alone=False) == f"learned weight x {both}"
