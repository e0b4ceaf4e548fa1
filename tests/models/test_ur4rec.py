"""UR4Rec: its scores, its branches, and that its memory never sees what a step predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.sequence_batches import make_batch
from tfrec.config.joint_objective_config import JointObjectiveConfig
from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.config.stages_config import JointStageConfig
from tfrec.config.ur4rec_config import UR4RecConfig
from tfrec.losses.sequence_objective import SequenceObjective
from tfrec.models.alternation import Alternation
from tfrec.models.stage_plan import StagePlan, branch_variables
from tfrec.models.ur4rec import UR4Rec
from tfrec.models.ur4rec_step import UR4RecStep
from tfrec.optimizers.build import build_sequence_optimizer

VOCAB, USERS = 14, 6
COLD = 13


def new_model(mode: str = "weighted", *, memory: bool = True, **settings: Any) -> UR4Rec:
    """A model with random weights; item `COLD` has no training event."""
    config = UR4RecConfig.model_validate(
        {
            "sasrec": {"dim": 8, "blocks": 1, "max_length": 8, "dropout": 0.0},
            "retriever": {"dim": 8, "window": 3, "proxies": 2, "dropout": 0.0},
            "memory": {"enabled": memory, "interactions": 1},
            "fusion": {"mode": mode, **({"sasrec_weight": 0.6, "retriever_weight": 0.4} if mode == "weighted" else {})},
            **settings,
        }
    )
    model = UR4Rec(config, VOCAB, seed=3, num_users=USERS)
    random = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(random.normal(0.0, 0.4, weight.shape).astype(np.float32))
    if model.retriever is not None:
        model.retriever.set_items(np.array([0, 0, *[1] * (COLD - 2), 0]))
    return model


def batch_of(users: list[int], *sequences: list[int], **settings: Any) -> dict[str, tf.Tensor]:
    return {**make_batch(list(sequences), **settings), "user": tf.constant(users, tf.int32)}


def test_fused_scores_are_standardised_and_weighed() -> None:
    model = new_model()
    batch = batch_of([3, 4], [2, 3, 4, 5], [6, 7, 8], num_targets=[2, 1])
    own, other = model.score_by_sasrec(batch).numpy(), model.score_by_retriever(batch).numpy()
    found = model.score_targets(batch).numpy()
    assert found.shape == (3, VOCAB)
    for row in range(3):
        first = (own[row] - own[row, 2:COLD].mean()) / own[row, 2:COLD].std()  # the cold item is not counted
        second = (other[row] - other[row, 2:].mean()) / other[row, 2:].std()
        wanted = 0.6 * first + 0.4 * second
        wanted[COLD] = second[COLD]  # SASRec knows nothing of it
        np.testing.assert_allclose(found[row, 2:], wanted[2:], atol=1e-4)


def test_memory_is_used_and_unknown_users_have_none() -> None:
    model = new_model()
    assert model.memory is not None
    assert model.request_features == ("user",)
    sequences = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
    before = model.score_targets(batch_of([3, 4, 1], *sequences, num_targets=[1, 1, 1])).numpy()
    table = np.zeros((USERS, 8), np.float32)
    table[3] = np.linspace(-1, 1, 8)
    model.memory.vectors.assign(table)
    batch = batch_of([3, 4, 1], *sequences, num_targets=[1, 1, 1])
    after = model.score_targets(batch).numpy()
    assert np.abs(after[0] - before[0]).max() > 1e-3
    np.testing.assert_allclose(after[1:], before[1:], atol=1e-6)
    np.testing.assert_allclose(model.score_without_memory(batch).numpy(), before, atol=1e-6)


def test_each_target_is_scored_from_the_latest_events_alone() -> None:
    model = new_model("adaptive")
    sequence = [9, 8, 2, 3, 4, 5, 6, 7, 10, 11]
    together = model.score_targets(batch_of([2], sequence, num_targets=[3])).numpy()
    for number, length in enumerate((7, 8, 9)):
        history = sequence[:length][-model.history_window :]
        alone = model.score_targets(batch_of([2], [*history, 0], num_targets=[1])).numpy()
        np.testing.assert_allclose(together[number], alone[0], atol=1e-5)


@pytest.mark.parametrize("off", ["use_sasrec", "use_retriever"])
def test_a_branch_that_is_off_has_no_weights(off: str) -> None:
    model = new_model(**{off: False})
    batch = batch_of([2], [2, 3, 4], num_targets=[1])
    alone = model.score_by_retriever if off == "use_sasrec" else model.score_by_sasrec
    np.testing.assert_allclose(model.score_targets(batch), alone(batch))
    assert (model.sasrec is None) == (off == "use_sasrec")
    assert (model.retriever is None) == (model.memory is None) == (off == "use_retriever")
    assert model.fusion is None


# ---- training -----------------------------------------------------------------------------------------------------


def stage_of(model: UR4Rec, stage: Any, branches: list[str], **settings: Any) -> UR4RecStep:
    counts = np.array([0, 0, *[3] * (COLD - 2), 0])
    if model.memory is not None:
        model.memory.prepare_training()
    optimizers = {
        name: build_sequence_optimizer(SequenceOptimizerConfig(learning_rate=0.05), branch_variables(model, name), 10)
        for name in branches
    }
    turns = Alternation(JointStageConfig()) if stage == "joint_finetune" else None
    joint = JointObjectiveConfig(num_negatives=8, targets_per_sequence=3, **settings)
    objective = SequenceObjective(SequenceObjectiveConfig(), counts)
    step = UR4RecStep(model, StagePlan(stage, objective, joint, counts, optimizers, turns))
    model.prepare_stage(step, step.metric_names)
    model.compile(optimizer=optimizers[branches[0]])
    return step


def train(model: UR4Rec, batch: Mapping[str, tf.Tensor], steps: int = 1) -> dict[str, float]:
    """Takes steps one by one: to trace the graph of a step takes longer than a few of them."""
    logs: dict[str, tf.Tensor] = {}
    for _ in range(steps):
        for metric in model.metrics:
            metric.reset_state()
        logs = model.train_step(batch)
    return {name: float(value) for name, value in logs.items()}


def changed(model: UR4Rec, before: list[np.ndarray], weights: list[Any]) -> bool:
    return any(np.abs(old - new.numpy()).max() > 1e-7 for old, new in zip(before, weights, strict=True))


def test_permuted_targets_leave_the_memory_after_the_step_unchanged() -> None:
    """The memory may know the first half of a sequence; whatever comes later is shuffled, or replaced."""
    found = []
    for tail in ([5, 6, 7, 8], [8, 5, 7, 6], [12, 11, 10, 9]):
        model = new_model("learned")
        stage_of(model, "end_to_end", ["retriever", "sasrec"])
        assert model.memory is not None
        start = [weight.numpy() for weight in model.trainable_weights]
        batch = batch_of([2, 4], [2, 3, 4, 9, *tail], [10, 11, 3, 2, *reversed(tail)])
        logs = train(model, batch, steps=1)
        assert logs["memory_updates"] == 2.0
        assert changed(model, start, model.trainable_weights)
        assert model.sasrec is not None
        found.append((model.memory.vectors.numpy(), model.sasrec.items.vectors.numpy()))
    first, *others = found
    assert first[0][[2, 4]].any(axis=1).all()
    assert not first[0][[0, 1, 3, 5]].any()
    for memory, weight in others:
        np.testing.assert_array_equal(memory, first[0])
        assert np.abs(weight - first[1]).max() > 1e-6  # what is learned does depend on the targets
    model = new_model("learned")
    stage_of(model, "end_to_end", ["retriever", "sasrec"])
    train(model, batch_of([2, 4], [2, 3, 12, 9, 5, 6, 7, 8], [10, 11, 3, 2, 8, 7, 6, 5]))
    assert model.memory is not None
    assert np.abs(model.memory.vectors.numpy() - first[0]).max() > 1e-4  # and the memory on the first half


def test_branches_take_turns_and_each_is_left_alone_by_the_other() -> None:
    model = new_model("learned", memory=False)
    step = stage_of(model, "joint_finetune", ["retriever", "sasrec"], distillation_weight=0.1, uncertainty=True)
    assert step.losses == ["sasrec", "retriever", "contrastive", "fused", "distillation"]
    batch = batch_of([2, 4], [2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12])
    moved = []
    for _ in range(4):
        before = {name: [w.numpy() for w in branch_variables(model, name)] for name in ("sasrec", "retriever")}
        logs = train(model, batch)
        moved.append(
            [name for name, weights in before.items() if changed(model, weights, branch_variables(model, name))]
        )
    assert moved == [["sasrec"], ["retriever"], ["sasrec"], ["retriever"]]
    assert all(np.isfinite(value) for value in logs.values())


def test_the_other_branch_takes_over_when_the_loss_no_longer_changes() -> None:
    turns = Alternation(JointStageConfig(alternate="adaptive", window=4, tolerance=0.1, least_steps=3))
    seen = []
    for loss in (8.0, 4.0, 2.0, 1.0, 0.99, 0.98, 5.0, 5.0, 5.0, 5.0):
        turns.record(tf.constant(loss))
        seen.append(bool(turns.second))
    # Means of the halves of the last four: 6 and 1.5, 3 and .995, 1.5 and .985 (from the fourth step on) ... 5 and 5.
    assert seen == [False] * 9 + [True]
    assert int(turns.steps) == 0


def test_sequences_of_one_event_predict_nothing_and_are_no_mistake() -> None:
    model = new_model("learned")
    stage_of(model, "end_to_end", ["retriever", "sasrec"], distillation_weight=0.1)
    logs = train(model, batch_of([2, 4], [2], [9]))
    assert logs["events"] == 0.0
    assert all(np.isfinite(value) for value in logs.values())


def test_nothing_is_learned_of_what_the_other_branch_does_not_know() -> None:
    """Distillation leaves out the item without training events, whatever SASRec's untrained row of it says."""
    found = []
    for shift in (0.0, 50.0):
        model = new_model("learned", memory=False)
        assert model.sasrec is not None
        rows = model.sasrec.items.vectors.numpy()
        rows[COLD] += shift
        model.sasrec.items.vectors.assign(rows)
        stage_of(model, "end_to_end", ["retriever", "sasrec"], distillation_weight=1.0)
        found.append(train(model, batch_of([2, 4], [2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12]))["distillation_loss"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_the_loss_falls() -> None:
    batch = batch_of([2, 3, 4], [2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12], [5, 4, 3, 2])
    model = new_model("adaptive")
    stage_of(model, "pretrain_retriever", ["retriever"], diversity_weight=0.01)
    first = train(model, batch)["loss"]
    assert train(model, batch, steps=6)["loss"] < 0.95 * first
