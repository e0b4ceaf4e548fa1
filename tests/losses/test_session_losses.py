"""Losses of GRU4Rec against the golden values of its specification (float64, two rows, one sampled negative)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.objective_config import ObjectiveConfig
from tfrec.losses.bpr import bpr, bpr_max
from tfrec.losses.candidate_objective import CandidateObjective, Candidates
from tfrec.losses.cross_entropy import cross_entropy, limited
from tfrec.losses.top1 import top1, top1_max
from tfrec.losses.weighting import negative_weights, softmax_of_negatives

SCORES = np.array([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]])
TARGETS = np.array([0, 1])
ONES = np.ones(3)


def total(loss, scores=SCORES, **settings) -> float:
    return float(tf.reduce_sum(loss(tf.constant(scores), tf.constant(TARGETS), tf.constant(ONES), **settings)))


def elu(scores: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(scores >= 0, scores, alpha * np.expm1(scores))


@pytest.mark.parametrize(
    ("loss", "settings", "expected"),
    [
        # Row 1: log(e^1 + e^0 + e^-1) - 1 = 0.40760596; row 2: log(e^.5 + e^2 + e^0) - 2 = 0.30635571.
        (cross_entropy, {}, 0.71396168),
        (cross_entropy, {"label_smoothing": 0.1}, 1.03896168),
        (bpr, {}, 2.15482535),
        (bpr_max, {"score_regularization": 0.0}, 0.43227599),
        (bpr_max, {"score_regularization": 1.0}, 0.85683225),
        (top1, {}, 1.32766929),
        (top1_max, {}, 1.48807052),
    ],
)
def test_sum_over_rows(loss, settings: dict[str, float], expected: float) -> None:
    assert total(loss, **settings) == pytest.approx(expected, abs=1e-7)


def test_bpr_max_after_elu() -> None:
    assert total(bpr_max, elu(SCORES, 0.5), score_regularization=1.0) == pytest.approx(0.65102532, abs=1e-7)


def test_softmax_of_negatives_leaves_out_the_target() -> None:
    weights = negative_weights(tf.constant(TARGETS), tf.constant(ONES))
    expected = [[0.0, 0.73105858, 0.26894142], [0.62245933, 0.0, 0.37754067]]
    np.testing.assert_allclose(softmax_of_negatives(tf.constant(SCORES), weights), expected, atol=1e-7)


@pytest.mark.parametrize("loss", [cross_entropy, bpr, bpr_max, top1, top1_max])
def test_a_weight_of_two_equals_two_columns(loss) -> None:
    """A negative that occurs twice, once as a column of its own and once as a weight: same loss and gradient."""
    rng = np.random.default_rng(0)
    distinct = tf.Variable(rng.normal(size=(3, 5)))
    columns, weights = [0, 1, 2, 3, 3, 4, 0], [2.0, 1.0, 1.0, 2.0, 1.0]  # column 0 is also the target of row 0
    targets = tf.constant([0, 1, 2])
    with tf.GradientTape(persistent=True) as tape:
        weighted = loss(distinct, targets, tf.constant(weights, tf.float64))
        repeated = loss(tf.gather(distinct, columns, axis=1), targets, tf.ones(7, tf.float64))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-10)
    np.testing.assert_allclose(
        tape.gradient(weighted, distinct), tf.convert_to_tensor(tape.gradient(repeated, distinct)), atol=1e-10
    )


@pytest.mark.parametrize("loss", [cross_entropy, bpr, bpr_max, top1, top1_max])
def test_a_weight_of_zero_removes_a_column(loss) -> None:
    padded = np.concatenate([SCORES, [[50.0], [-50.0]]], axis=1)
    masked = loss(tf.constant(padded), tf.constant(TARGETS), tf.constant([1.0, 1.0, 1.0, 0.0], tf.float64))
    plain = loss(tf.constant(SCORES), tf.constant(TARGETS), tf.constant(ONES))
    np.testing.assert_allclose(masked, plain, rtol=1e-12)


@pytest.mark.parametrize("loss", [cross_entropy, bpr, bpr_max, top1, top1_max])
def test_gradients_equal_finite_differences(loss) -> None:
    rng = np.random.default_rng(3)
    scores, weights = rng.normal(size=(3, 6)), np.array([1.0, 2.0, 1.0, 0.0, 3.0, 1.0])
    targets, factors = tf.constant([0, 1, 2]), np.array([1.0, -2.0, 0.5])

    def value(scores: np.ndarray) -> tf.Tensor:
        return tf.reduce_sum(factors * loss(scores, targets, tf.constant(weights)))

    variable = tf.Variable(scores)
    with tf.GradientTape() as tape:
        total_loss = value(variable)
    gradient = tape.gradient(total_loss, variable).numpy()
    for row, column in np.ndindex(*scores.shape):
        step = np.zeros_like(scores)
        step[row, column] = 1e-6
        difference = float(value(tf.constant(scores + step)) - value(tf.constant(scores - step))) / 2e-6
        assert gradient[row, column] == pytest.approx(difference, abs=1e-7), (row, column)


def test_cross_entropy_gradient_is_softmax_minus_one_hot() -> None:
    scores = tf.Variable(SCORES)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(cross_entropy(scores, tf.constant(TARGETS), tf.constant(ONES)))
    softmax = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tape.gradient(loss, scores), softmax - np.eye(3)[TARGETS], atol=1e-12)


def test_hopeless_target_has_a_bounded_loss_and_no_gradient() -> None:
    loss = tf.Variable(np.array([0.5, 80.0]))
    with tf.GradientTape() as tape:
        bounded = limited(loss)
    # -log(1e-24) = 24 log 10 = 55.2620
    np.testing.assert_allclose(bounded, [0.5, 55.2620], atol=1e-4)
    np.testing.assert_allclose(tape.gradient(bounded, loss), [1.0, 0.0], atol=1e-10)


def spec_objective(**settings) -> tuple[CandidateObjective, Candidates]:
    """Supports 3 and 1 of the two targets, 2 of the sampled id; alpha 0.5 (items 2, 3 and 4)."""
    config = ObjectiveConfig(negative_alpha=0.5, **settings)
    objective = CandidateObjective(config, np.array([0, 0, 3, 1, 2]))
    return objective, Candidates(tf.constant([2, 3, 4]), tf.constant([0, 1]), tf.constant([2]))


def test_logq_uses_raw_counts_in_batch_and_powers_for_samples() -> None:
    objective, candidates = spec_objective(loss="cross-entropy", logq_strength=1.0)
    loss = objective(tf.constant(SCORES, tf.float32), candidates, tf.constant([True, True]))
    assert float(loss) == pytest.approx(1.02866417, abs=1e-5)


def test_logq_per_occurrence_agrees_with_the_folded_weights() -> None:
    """xe_logit takes the general path (one column per occurrence), cross-entropy the folded one."""
    scores = tf.constant(np.random.default_rng(1).normal(size=(2, 3)), tf.float32)
    losses = []
    for loss in ("cross-entropy", "xe_logit"):
        objective, candidates = spec_objective(loss=loss, logq_strength=0.7)
        repeated = candidates._replace(negative_columns=tf.constant([2, 0, 2, 1]))  # samples hit targets, and repeat
        losses.append(float(objective(scores, repeated, tf.constant([True, True]))))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("loss", ["cross-entropy", "xe_logit", "bpr", "bpr-max", "top1", "top1-max"])
def test_inactive_rows_neither_lose_nor_compete(loss: str) -> None:
    objective, candidates = spec_objective(loss=loss, logq_strength=0.0)
    scores = tf.Variable(tf.constant(SCORES, tf.float32))
    with tf.GradientTape() as tape:
        masked = objective(scores, candidates, tf.constant([True, False]))
    alone = objective(
        tf.constant(SCORES[:1, [0, 2]], tf.float32),
        Candidates(tf.constant([2, 4]), tf.constant([0]), tf.constant([1])),
        tf.constant([True]),
    )
    assert float(masked) == pytest.approx(float(alone), rel=1e-6)
    gradient = tape.gradient(masked, scores).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[1], 0.0)
    assert gradient[0, 1] == 0.0


@pytest.mark.parametrize("settings", [{"logq_strength": 1.0}, {"logq_strength": 0.0}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("loss", ["cross-entropy", "xe_logit", "bpr-max"])
def test_a_bias_equals_scores_that_hold_it(loss: str, settings: dict[str, float]) -> None:
    objective, candidates = spec_objective(loss=loss, **settings)
    scores, bias = tf.Variable(tf.constant(SCORES, tf.float32)), tf.Variable([0.3, -0.7, 1.1])
    active = tf.constant([True, True])
    with tf.GradientTape(persistent=True) as tape:
        given = objective(scores, candidates, active, bias=bias)
        added = objective(scores + bias, candidates, active)
    assert float(given) == pytest.approx(float(added), rel=1e-6)
    for variable in (scores, bias):
        gradients = [tf.convert_to_tensor(tape.gradient(loss, variable)) for loss in (given, added)]
        np.testing.assert_allclose(*gradients, atol=1e-6)
