"""One test per mistake that the authors of GRU4Rec found in third-party ports (arXiv 2307.14956, specification 10)."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.oracles.session_parallel import session_parallel_steps
from tests.sequence_batches import make_batch
from tfrec.config.gru4rec_config import GRU4RecConfig, parse_official_params
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.data.session_blocks import session_blocks
from tfrec.losses.candidate_objective import CandidateObjective
from tfrec.models.gru4rec import GRU4Rec
from tfrec.optimizers.build import build_optimizer

VOCAB = 12
COUNTS = np.array([0, 0, 5, 4, 3, 3, 2, 2, 1, 1, 1, 1])


def trained_on(sessions: list[list[int]], lanes: int, objective: ObjectiveConfig, **settings) -> GRU4Rec:
    """One epoch with a learning rate so small that the weights stay what they were, to look at states and losses."""
    model = GRU4Rec(GRU4RecConfig(layers=[4], **settings), VOCAB, seed=5)
    model.prepare_training(CandidateObjective(objective, COUNTS), lanes)
    optimizer = build_optimizer(OptimizerConfig(learning_rate=1e-12))
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    items = np.array([item for session in sessions for item in session])
    for block in session_blocks([(items, np.array([len(session) for session in sessions]))], lanes, 1):
        model.train_step(
            {name: tf.constant(getattr(block, name)) for name in ("inputs", "targets", "starts", "active", "num_steps")}
        )
    return model


def state_after(model: GRU4Rec, items: list[int]) -> np.ndarray:
    state = model.stack.zero_state(1)
    for item in items:
        state = model.session_step(tf.constant([item]), state)
    return state[-1].numpy()[0]


def test_state_is_reset_between_evaluated_sessions() -> None:
    """A session's scores do not depend on what was evaluated before or beside it."""
    model = GRU4Rec(GRU4RecConfig(layers=[4]), VOCAB, seed=5)
    alone = model.score_targets(make_batch([[4, 5, 6]])).numpy()
    beside = model.score_targets(make_batch([[2, 3, 2, 7, 8], [4, 5, 6]])).numpy()
    np.testing.assert_allclose(beside[-2:], alone, atol=1e-6)


def test_lanes_are_reset_exactly_when_their_session_begins() -> None:
    """Not with a stale mask and not one step late: the state of the last lane is that of its own session alone."""
    sessions = [[2, 3, 4, 5, 6, 7, 8], [8, 9], [3, 2, 4], [5, 4, 3, 2]]
    model = trained_on(sessions, 2, ObjectiveConfig(num_negatives=3))
    # Lane 0 holds session 0 throughout; lane 1 holds sessions 1 (1 step), 2 (2 steps), then 3 (3 steps).
    np.testing.assert_allclose(model.lane_states[0].numpy()[0], state_after(model, [2, 3, 4, 5, 6, 7]), atol=1e-6)
    np.testing.assert_allclose(model.lane_states[0].numpy()[1], state_after(model, [5, 4, 3]), atol=1e-6)


def test_an_epoch_goes_on_while_any_lane_has_events() -> None:
    """The epoch must not end as soon as one lane cannot be refilled."""
    sessions = [[2, 3], [4, 5], [6, 7, 8, 9, 10, 11, 2, 3]]
    model = trained_on(sessions, 3, ObjectiveConfig(num_negatives=3))
    assert float(model.event_counter.result()) == sum(len(session) - 1 for session in sessions)
    assert float(model.step_counter.result()) == len(list(session_parallel_steps(sessions, 3)))


def test_only_candidates_are_scored() -> None:
    """Sampling must come before scoring: a step's gradient touches inputs, targets and negatives, nothing else."""
    model = GRU4Rec(GRU4RecConfig(layers=[4]), VOCAB, seed=5)
    objective = CandidateObjective(ObjectiveConfig(num_negatives=2), COUNTS)
    _, _, gradients = model.mini_batch_gradients(
        objective,
        inputs=tf.constant([2]),
        targets=tf.constant([3]),
        negatives=tf.constant([4, 4]),
        active=tf.constant([True]),
        state=model.stack.zero_state(1),
    )
    rows = {
        variable.path: gradient.indices.numpy().tolist()
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if isinstance(gradient, tf.IndexedSlices)
    }
    assert {path.rsplit("/", 1)[-1]: sorted(found) for path, found in rows.items()} == {
        "vectors": [2, 3, 4],
        "bias": [3, 4],
    }


def test_softmax_is_taken_once() -> None:
    """Logits (5, 0) of target and negative: log(1 + e^-5) = .0067; a double softmax would give .3133."""
    objective = CandidateObjective(ObjectiveConfig(logq_strength=0.0), COUNTS)
    from tfrec.losses.candidate_objective import Candidates

    candidates = Candidates(tf.constant([2, 3]), tf.constant([0]), tf.constant([1]))
    loss = float(objective(tf.constant([[5.0, 0.0]]), candidates, tf.constant([True])))
    assert loss == pytest.approx(0.0067153, abs=1e-6)


def test_scores_at_prediction_are_not_squashed() -> None:
    """Ranking uses the linear scores, so that saturated probabilities cannot tie."""
    model = GRU4Rec(GRU4RecConfig(layers=[4]), VOCAB, seed=5)
    model.items.bias.assign(np.arange(VOCAB) * 100.0)
    scores = model.score_targets(make_batch([[4, 5]])).numpy()[0]
    assert len(set(scores[2:].tolist())) == VOCAB - 2


@pytest.mark.parametrize("settings", [{"dropout_hidden": 0.9}, {"dropout_embedding": 0.9}])
def test_dropout_is_applied_in_training_and_only_there(settings: dict[str, float]) -> None:
    sessions = [[2, 3, 4, 5, 6, 7, 8, 9] * 3, [3, 2, 5, 4, 7, 6, 9, 8] * 3]
    objective = ObjectiveConfig(num_negatives=3)
    plain, dropped = trained_on(sessions, 2, objective), trained_on(sessions, 2, objective, **settings)
    assert not np.allclose(plain.lane_states[0], dropped.lane_states[0])
    np.testing.assert_allclose(
        plain.score_targets(make_batch(sessions)), dropped.score_targets(make_batch(sessions)), atol=1e-5
    )


def test_bpr_max_keeps_its_regularisation_and_its_factor() -> None:
    from tfrec.losses.candidate_objective import Candidates

    candidates = Candidates(tf.constant([2, 3]), tf.constant([0]), tf.constant([1]))
    losses = []
    for factor in (0.0, 1.0, 2.5):
        config = ObjectiveConfig(loss="bpr-max", logq_strength=0.0, score_regularization=factor)
        scores = tf.constant([[1.0, 3.0]])
        losses.append(float(CandidateObjective(config, COUNTS)(scores, candidates, tf.constant([True]))))
    # One negative of score 3 has softmax weight 1: the penalty is 9 per unit of the factor.
    assert losses[1] - losses[0] == pytest.approx(9.0, abs=1e-5)
    assert losses[2] - losses[0] == pytest.approx(22.5, abs=1e-5)


def test_probability_zero_gives_a_finite_loss() -> None:
    from tfrec.losses.candidate_objective import Candidates

    candidates = Candidates(tf.constant([2, 3]), tf.constant([0]), tf.constant([1]))
    for loss in ("cross-entropy", "bpr-max"):
        scores = tf.Variable([[-500.0, 500.0]])
        with tf.GradientTape() as tape:
            config = ObjectiveConfig(loss=loss, logq_strength=0.0, score_regularization=0.0)
            value = CandidateObjective(config, COUNTS)(scores, candidates, tf.constant([True]))
        assert np.isfinite(float(value))
        assert np.isfinite(tape.gradient(value, scores).numpy()).all()


def test_weights_start_glorot_and_accumulators_at_zero() -> None:
    model = GRU4Rec(GRU4RecConfig(layers=[100]), 5_002, seed=5)
    # sqrt(6 / (5000 + 100)) = .0343 for the item table, sqrt(6 / 200) = .1732 for each gate.
    assert np.abs(model.items.vectors.numpy()).max() == pytest.approx(0.0343, abs=1e-4)
    assert np.abs(model.stack.cells[0].gate_kernel.numpy()).max() == pytest.approx(0.1732, abs=1e-3)
    np.testing.assert_array_equal(model.items.bias.numpy(), 0.0)
    optimizer = build_optimizer(OptimizerConfig())
    optimizer.build(model.trainable_variables)
    for accumulator in optimizer.slots["accumulator"]:
        np.testing.assert_array_equal(accumulator.numpy(), np.float32(1e-6))  # epsilon, which the reference adds later


def test_learning_rate_does_not_decay_and_adam_is_not_substituted() -> None:
    """Under a constant gradient g, step t of Adagrad is lr g / sqrt(t g^2) = lr / sqrt(t): only the accumulator
    shrinks it.

    Adam would step by lr every time; any decay of lr would make the sum smaller.
    """
    sections = parse_official_params("learning_rate=0.2,batch_size=7,n_sample=11")
    optimizer = build_optimizer(OptimizerConfig.model_validate(sections["optimizer"]))
    variable = keras.Variable([1.0])
    optimizer.build([variable])
    for _ in range(200):
        optimizer.apply([tf.constant([3.0])], [variable])
    expected = 1.0 - 0.2 * sum(t**-0.5 for t in range(1, 201))
    assert float(variable.numpy()[0]) == pytest.approx(expected, rel=1e-5)


def test_mini_batch_size_and_extra_negatives_are_what_was_asked_for() -> None:
    """Not hard-coded 50, and the extra negatives exist: with them a lone lane still learns, without them it stops."""
    sessions = [[2, 3, 4, 5], [6, 7]]
    with_extra = trained_on(sessions, 2, ObjectiveConfig(num_negatives=4))
    assert with_extra.lane_states[0].shape == (2, 4)
    assert float(with_extra.event_counter.result()) == 4
    items, lengths = np.array([2, 3, 4, 5, 6, 7]), np.array([4, 2])
    without = list(session_blocks([(items, lengths)], 2, 1, min_active_lanes=2))
    assert sum(block.active.sum() for block in without) == 2


def test_unknown_items_of_a_test_session_are_no_crash_and_no_hit() -> None:
    from tfrec.evaluation.ranking import evaluate_ranking

    model = GRU4Rec(GRU4RecConfig(layers=[4]), VOCAB, seed=5)
    result = evaluate_ranking(model, [make_batch([[2, 1, 3]])], cutoffs=[VOCAB])
    assert result.num_targets == 2
    assert result.num_unknown_targets == 1
    assert result.metrics[f"recall@{VOCAB}"] == 0.5


@pytest.mark.parametrize("mode", ["shared", "separate", "none"])
def test_all_embedding_modes_and_momentum_exist(mode: str) -> None:
    model = GRU4Rec(GRU4RecConfig(layers=[4], embedding_mode=mode, embedding_dim=3), VOCAB, seed=5)
    expected = {"shared": 12 * 4 + 4 * 12, "separate": 12 * 4 + 12 * 3 + 3 * 12, "none": 12 * 4 + 12 * 12}[mode]
    # item table and input side as above; then biases 12, gates 4 * 8, candidate 4 * 4, bias 12
    assert model.count_params() == expected + 12 + 32 + 16 + 12
