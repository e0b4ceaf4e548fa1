"""The retrieval task: equal to TFRS on Keras 2, and to arithmetic for each of its options."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tests.oracles.retrieval import retrieval_losses
from tfrec.compat import legacy_keras
from tfrec.errors import ConfigError
from tfrec.tasks.retrieval import RetrievalTask

QUERIES, CANDIDATES, WIDTH, DIM = 6, 9, 5, 3
RANDOM = np.random.default_rng(7)
QUERY_INPUTS = RANDOM.normal(size=(3, QUERIES, WIDTH)).astype(np.float32)  # three batches
CANDIDATE_INPUTS = RANDOM.normal(size=(3, CANDIDATES, WIDTH)).astype(np.float32)
KERNELS = [RANDOM.normal(size=(WIDTH, DIM)).astype(np.float32) for _ in range(2)]
IDS = np.array([4, 5, 4, 6, 7, 5, 8, 9, 4], np.int32)
PROBABILITY = np.array([0.3, 0.2, 0.3, 0.05, 0.01, 0.2, 0.1, 0.002, 0.3], np.float32)
MASK = RANDOM.random((QUERIES, CANDIDATES)) < 0.6
WEIGHT = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0], np.float32)

OPTIONS = {
    "plain": ({}, {}),
    "temperature": ({"temperature": 0.3}, {}),
    "probability": ({}, {"candidate_sampling_probability": PROBABILITY}),
    "accidental hits": ({"remove_accidental_hits": True}, {"candidate_ids": IDS}),
    "hard negatives": ({"num_hard_negatives": 2}, {}),
    "mask": ({}, {"score_mask": MASK | np.eye(QUERIES, CANDIDATES, dtype=bool)}),
    "weight": ({}, {"sample_weight": WEIGHT}),
    "all": (
        {"temperature": 0.3, "num_hard_negatives": 3, "remove_accidental_hits": True},
        {"candidate_sampling_probability": PROBABILITY, "candidate_ids": IDS, "sample_weight": WEIGHT},
    ),
}


class LegacyTwoTower(tfrs.Model):
    """TFRS as its users write it: Keras 2 towers, a task, `compute_loss`."""

    def __init__(self, settings: dict, arguments: dict) -> None:
        super().__init__()
        layers = legacy_keras().layers
        self.query_tower, self.candidate_tower = (layers.Dense(DIM, use_bias=False) for _ in range(2))
        self.task = tfrs.tasks.Retrieval(**settings)
        self.arguments = arguments

    def compute_loss(self, inputs: dict, training: bool = False) -> tf.Tensor:
        return self.task(self.query_tower(inputs["query"]), self.candidate_tower(inputs["candidate"]), **self.arguments)


class TwoTowers(keras.Model):
    """The same on Keras 3."""

    def __init__(self, settings: dict, arguments: dict) -> None:
        super().__init__()
        self.query_tower, self.candidate_tower = (keras.layers.Dense(DIM, use_bias=False) for _ in range(2))
        self.task = RetrievalTask(**settings)
        self.arguments = arguments

    def compute_loss_of(self, inputs: dict) -> tf.Tensor:
        return self.task(self.query_tower(inputs["query"]), self.candidate_tower(inputs["candidate"]), **self.arguments)

    def train_step(self, inputs: dict) -> dict:
        with tf.GradientTape() as tape:
            loss = self.compute_loss_of(inputs)
        gradients = tape.gradient(loss, [variable.value for variable in self.trainable_variables])
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


def twins(option: str) -> tuple[LegacyTwoTower, TwoTowers]:
    """Both models with the same settings and weights."""
    models = LegacyTwoTower(*OPTIONS[option]), TwoTowers(*OPTIONS[option])
    for model in models:
        for tower, kernel in zip((model.query_tower, model.candidate_tower), KERNELS, strict=True):
            tower.build((None, WIDTH))
            tower.set_weights([kernel])
    return models


@pytest.mark.parametrize("option", OPTIONS)
def test_loss_and_gradients_equal_those_of_tfrs_on_keras_2(option: str) -> None:
    legacy, ours = twins(option)
    batch = {"query": tf.constant(QUERY_INPUTS[0]), "candidate": tf.constant(CANDIDATE_INPUTS[0])}
    with tf.GradientTape() as tape:
        expected_loss = legacy.compute_loss(batch)
    expected = tape.gradient(expected_loss, legacy.trainable_variables)
    with tf.GradientTape() as tape:
        loss = ours.compute_loss_of(batch)
    gradients = tape.gradient(loss, [variable.value for variable in ours.trainable_variables])
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    assert len(expected) == 2
    for gradient, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-5, atol=1e-6)
        assert np.abs(gradient).max() > 0.01


@pytest.mark.parametrize("option", ["plain", "all"])
def test_three_steps_of_fit_equal_three_steps_of_fit_on_keras_2(option: str) -> None:
    """What holds eagerly must hold inside Keras 3's compiled step, where autograph is off."""
    legacy, ours = twins(option)
    batches = tf.data.Dataset.from_tensor_slices({"query": QUERY_INPUTS, "candidate": CANDIDATE_INPUTS})
    legacy.compile(optimizer=legacy_keras().optimizers.SGD(0.02))
    legacy.fit(batches, epochs=1, verbose=0)
    ours.compile(optimizer=keras.optimizers.SGD(0.02), jit_compile=False)
    ours.fit(batches, epochs=1, verbose=0, shuffle=False)
    for weight, other, start in zip(ours.get_weights(), legacy.get_weights(), KERNELS, strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-6)
        assert np.abs(weight - start).max() > 0.01


def towers(batch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return QUERY_INPUTS[batch] @ KERNELS[0], CANDIDATE_INPUTS[batch] @ KERNELS[1]


@pytest.mark.parametrize(
    ("settings", "arguments", "oracle"),
    [
        ({}, {}, {}),
        ({"temperature": 0.3}, {}, {"temperature": 0.3}),
        ({}, {"candidate_sampling_probability": PROBABILITY}, {"probability": PROBABILITY}),
        ({"remove_accidental_hits": True}, {"candidate_ids": IDS}, {"ids": IDS}),
        ({"num_hard_negatives": 2}, {}, {"hard_negatives": 2}),
        ({"num_hard_negatives": 50}, {}, {}),  # more than there are: all
        ({}, {"score_mask": MASK}, {"mask": MASK}),
        (
            {"num_hard_negatives": 3, "remove_accidental_hits": True, "temperature": 2.0},
            {"candidate_ids": IDS, "candidate_sampling_probability": PROBABILITY, "score_mask": MASK},
            {"hard_negatives": 3, "ids": IDS, "probability": PROBABILITY, "mask": MASK, "temperature": 2.0},
        ),
    ],
)
def test_losses_equal_arithmetic(settings: dict, arguments: dict, oracle: dict) -> None:
    queries, candidates = towers()
    losses = RetrievalTask(reduction="none", **settings)(queries, candidates, **arguments)
    np.testing.assert_allclose(losses, retrieval_losses(queries, candidates, **oracle), rtol=1e-5, atol=1e-5)


def test_two_queries_by_hand() -> None:
    """Scores are the identity: each loss is ln(e + 1) - 1 = 0.31326, and ln(e^2 + 1) - 2 = 0.12693 at temperature 0.5.

    With probabilities 0.8 and 0.2 the scores of the columns rise by -ln 0.8 and -ln 0.2: the first loss is
    ln(e / 0.8 + 1 / 0.2) - ln(e / 0.8) = ln(1 + 5 / 3.39785) = 0.90483, the second ln(1 + 1.25 / (5 e)) = 0.08798.
    """
    eye = np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(RetrievalTask(reduction="none")(eye, eye), [0.31326, 0.31326], atol=1e-5)
    np.testing.assert_allclose(RetrievalTask(temperature=0.5, reduction="none")(eye, eye), [0.12693] * 2, atol=1e-5)
    corrected = RetrievalTask(reduction="none")(eye, eye, candidate_sampling_probability=[0.8, 0.2])
    np.testing.assert_allclose(corrected, [0.90483, 0.08798], atol=1e-5)


def test_reductions() -> None:
    queries, candidates = towers()
    losses = np.array(retrieval_losses(queries, candidates))
    np.testing.assert_allclose(RetrievalTask()(queries, candidates), losses.sum(), rtol=1e-5)
    np.testing.assert_allclose(RetrievalTask(reduction="mean")(queries, candidates), losses.mean(), rtol=1e-5)
    weighted = RetrievalTask(reduction="none")(queries, candidates, sample_weight=WEIGHT)
    np.testing.assert_allclose(weighted, losses * WEIGHT, atol=1e-5)


def test_query_of_several_heads_is_scored_by_its_best_head() -> None:
    queries, candidates = towers()
    other, _ = towers(1)
    losses = RetrievalTask(reduction="none")(np.stack([queries, other], axis=1), candidates)  # [queries]
    best = np.maximum(queries @ candidates.T, other @ candidates.T)  # [queries, candidates]
    expected = np.log(np.exp(best).sum(axis=1)) - np.diagonal(best)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)


def test_mask_never_hides_the_positive() -> None:
    queries, candidates = towers()
    nothing = np.zeros((QUERIES, CANDIDATES), bool)
    losses = RetrievalTask(reduction="none")(queries, candidates, score_mask=nothing)
    np.testing.assert_allclose(losses, np.zeros(QUERIES), atol=1e-6)  # the positive alone: probability 1


def test_half_precision_vectors_are_scored_in_float32() -> None:
    queries, candidates = (part.astype(np.float16) for part in towers())
    losses = RetrievalTask(reduction="none", remove_accidental_hits=True)(queries, candidates, candidate_ids=IDS)
    expected = retrieval_losses(queries.astype(np.float32), candidates.astype(np.float32), ids=IDS)
    assert losses.dtype == tf.float32
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)


def test_batch_metric_is_updated_in_a_compiled_step_and_reset() -> None:
    """Identical towers on one-hot inputs put every positive first; swapped candidates put none first."""
    accuracy = legacy_keras().metrics.CategoricalAccuracy(name="in_batch_accuracy")
    task = RetrievalTask(batch_metrics=[accuracy])
    step = tf.function(lambda queries, candidates: task(queries, candidates), autograph=False)
    eye = tf.eye(4)
    step(eye, eye)
    assert float(task.metrics.results()["in_batch_accuracy"]) == 1.0
    step(eye, tf.reverse(eye, axis=[0]))
    assert float(task.metrics.results()["in_batch_accuracy"]) == 0.5
    task.metrics.reset()
    step(eye, tf.reverse(eye, axis=[0]))
    assert float(task.metrics.results()["in_batch_accuracy"]) == 0.0
    task(eye, eye, compute_batch_metrics=False)
    assert float(task.metrics.results()["in_batch_accuracy"]) == 0.0


def test_one_trace_serves_batches_of_all_sizes() -> None:
    task = RetrievalTask()
    for size in (3, 5, 7, 9, 11):
        task(tf.eye(size), tf.eye(size))
    assert task._graph.experimental_get_tracing_count() <= 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"num_hard_negatives": 0}, "num_hard_negatives"),
        ({"reduction": "average"}, "average"),
    ],
)
def test_wrong_settings(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RetrievalTask(**settings)


def test_accidental_hits_need_ids() -> None:
    with pytest.raises(ConfigError, match="candidate_ids"):
        RetrievalTask(remove_accidental_hits=True)(tf.eye(2), tf.eye(2))
