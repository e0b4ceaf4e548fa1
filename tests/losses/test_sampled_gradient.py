"""Monte Carlo: the mean gradient of sampled softmax over many draws, against that of softmax over all items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.losses.sequence_objective import SequenceObjective
from tfrec.sampling.exclusive_draw import exclusive_draw
from tfrec.sampling.popularity_sampler import PopularitySampler
from tfrec.sampling.uniform_sampler import UniformSampler

VOCAB, DIM = 32, 4
VECTORS = np.random.default_rng(1).normal(size=(VOCAB, DIM))
COUNTS = np.concatenate([[0.0, 0.0], np.round(1000.0 / np.arange(1, VOCAB - 1))])
TARGETS = np.array([2, 10, 30], np.int32)
STATES = 0.6 * VECTORS[TARGETS]  # probabilities of the targets: 0.04, 0.09, 0.74
COMPETITORS = np.argsort(-np.where(np.arange(VOCAB) < 2, -np.inf, STATES @ VECTORS.T), axis=1)[:, :4]
HISTORY = np.concatenate([COMPETITORS, COMPETITORS[:, :1], np.zeros((3, 1))], axis=1).astype(np.int32)  # [3, 6]


class Table:
    def __init__(self, vectors: tf.Variable) -> None:
        self.vectors = vectors

    def lookup(self, ids: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.gather(self.vectors, ids), None

    def whole(self) -> tuple[tf.Tensor, None]:
        return tf.convert_to_tensor(self.vectors), None


def true_gradient(rows: tuple[int, ...] = (0, 1, 2), *, exclude_history: bool = False) -> np.ndarray:
    """Softmax over all items, or over all but the history, by its textbook formula: by states, then by vectors."""
    allowed = np.ones((3, VOCAB), bool)
    allowed[:, :2] = False
    if exclude_history:
        for row, items in enumerate(HISTORY):
            allowed[row, items] = False
        allowed[range(3), TARGETS] = True
    exponentials = np.where(allowed, np.exp(STATES @ VECTORS.T), 0.0)
    by_scores = exponentials / exponentials.sum(axis=1, keepdims=True)
    by_scores[range(3), TARGETS] -= 1.0
    by_scores[[row for row in range(3) if row not in rows]] = 0.0
    return np.concatenate([(by_scores @ VECTORS).ravel(), (by_scores.T @ STATES).ravel()])


def mean_gradient(
    repetitions: int, rows: tuple[int, ...] = (0, 1, 2), *, others: int = 0, **settings: Any
) -> np.ndarray:
    """Mean gradient of the losses of some rows over many draws.

    Args:
        repetitions: Number of draws.
        rows: Targets whose losses count.
        others: Further targets of the step, drawn by popularity, whose own losses do not count.
        **settings: Objective.
    """
    objective = SequenceObjective(SequenceObjectiveConfig(**settings), COUNTS)
    by_popularity = PopularitySampler(COUNTS, 1.0)
    states, vectors = (tf.Variable(array, dtype=tf.float32) for array in (STATES, VECTORS))

    def loss(number: tf.Tensor) -> tf.Tensor:
        further = by_popularity.sample((others,), tf.stack([8, number]))
        losses = objective(
            tf.concat([tf.gather(states, rows), tf.zeros([others, DIM])], axis=0),
            tf.concat([TARGETS[list(rows)], further], axis=0),
            Table(vectors),
            history=tf.constant(HISTORY),
            sequence_of_target=tf.constant([*rows, *([0] * others)]),
            seed=tf.stack([7, number]),
        )
        return tf.reduce_sum(losses[: len(rows)])

    @tf.function(autograph=False)
    def summed() -> list[tf.Tensor]:
        def one(number: tf.Tensor, by_states: tf.Tensor, by_vectors: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.GradientTape() as tape:
                total = loss(number)
            gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, [states, vectors])]
            return number + 1, by_states + gradients[0], by_vectors + gradients[1]

        start = (tf.constant(0), tf.zeros([3, DIM]), tf.zeros([VOCAB, DIM]))
        return list(tf.while_loop(lambda number, *_: number < repetitions, one, start)[1:])

    return np.concatenate([gradient.numpy().ravel() for gradient in summed()]) / repetitions


def relative_error(mean: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(mean - truth) / np.linalg.norm(truth))


@pytest.fixture(scope="module")
def errors() -> dict[tuple[str, str, int], float]:
    """Relative error of the mean gradient by sampler, correction and number of negatives."""
    return {
        (sampler, logq, count): relative_error(
            mean_gradient(
                repetitions,
                loss="sampled-softmax",
                sampler=sampler,
                negative_alpha=1.0,
                num_negatives=count,
                logq=logq,
            ),
            true_gradient(),
        )
        for sampler in ("uniform", "popularity")
        for logq in ("none", "standard", "refined")
        for count, repetitions in ((16, 300), (64, 150), (512, 50))
        if logq != "none" or count != 64
    }


@pytest.mark.parametrize("sampler", ["uniform", "popularity"])
@pytest.mark.parametrize("logq", ["standard", "refined"])
def test_with_logq_the_gradient_converges(sampler: str, logq: str, errors: dict[tuple[str, str, int], float]) -> None:
    few, many = (errors[sampler, logq, count] for count in (16, 512))
    assert few > many
    assert many < 0.05


@pytest.mark.parametrize("sampler", ["uniform", "popularity"])
def test_without_logq_it_does_not(sampler: str, errors: dict[tuple[str, str, int], float]) -> None:
    assert min(errors[sampler, "none", count] for count in (16, 512)) > 0.2
    assert errors[sampler, "none", 512] > 0.8


@pytest.mark.parametrize("sampler", ["uniform", "popularity"])
@pytest.mark.parametrize("count", [16, 64])
def test_the_refined_form_is_less_biased(sampler: str, count: int, errors: dict[tuple[str, str, int], float]) -> None:
    """The positive is always present; the standard form takes it for drawn. 300 draws leave an error of about 0.03."""
    assert errors[sampler, "refined", count] < 0.8 * errors[sampler, "standard", count]


@pytest.mark.parametrize(
    ("settings", "exclude_history"),
    [
        ({"sampler": "in-batch"}, False),
        ({"sampler": "mixed", "num_negatives": 64, "negative_alpha": 0.0}, False),
        ({"sampler": "in-batch", "exclude_history": True}, True),
        ({"sampler": "popularity", "num_negatives": 512, "exclude_history": True}, True),
        ({"sampler": "popularity", "negatives": "per-target", "num_negatives": 512}, False),
        ({"sampler": "popularity", "negatives": "per-target", "num_negatives": 512, "exclude_history": True}, True),
    ],
    ids=str,
)
def test_refined_gradient_of_the_other_samplers(settings: dict[str, Any], exclude_history: bool) -> None:
    """With the history excluded, the limit is the softmax over the other items."""
    others = 400 if settings["sampler"] in ("in-batch", "mixed") else 0
    rows = (1,) if others else (0, 1, 2)
    mean = mean_gradient(60, rows, others=others, loss="sampled-softmax", logq="refined", **settings)
    assert relative_error(mean, true_gradient(rows, exclude_history=exclude_history)) < 0.06
    assert relative_error(mean, true_gradient(rows, exclude_history=not exclude_history)) > 0.2


def test_published_form_of_the_refined_correction() -> None:
    """`-w log(e^p / sum_j e^(s_j - log Q'_j))`, `Q' = q / (1 - q_p)`, constant `w = 1 - P(p)` from the same draws.

    With uniform draws outside the positive, both gradients differ by the chance 1/30^3 that a place remains empty.
    """
    config = SequenceObjectiveConfig(
        loss="sampled-softmax", sampler="uniform", num_negatives=12, logq="refined", negatives="per-target"
    )
    states, vectors = (tf.Variable(array, dtype=tf.float32) for array in (STATES, VECTORS))
    target, seed = tf.constant(TARGETS[:1]), tf.constant([1, 2])
    with tf.GradientTape() as tape:
        loss = SequenceObjective(config, COUNTS)(
            states[:1],
            target,
            Table(vectors),
            history=tf.constant(HISTORY[:1]),
            sequence_of_target=tf.constant([0]),
            seed=seed,
        )
    found = tape.gradient(loss, states)
    drawn, _, valid = exclusive_draw(UniformSampler(VOCAB), 12, seed, target, None, tf.constant([0]))
    assert bool(tf.reduce_all(valid))
    with tf.GradientTape() as tape:
        scores = tf.linalg.matvec(vectors, states[0])  # [vocab]
        q = 1.0 / (VOCAB - 2)
        logits = tf.gather(scores, drawn[0]) - tf.math.log(q / (1.0 - q))  # [12]
        positive = scores[TARGETS[0]]
        weight = tf.stop_gradient(1.0 - tf.sigmoid(positive - tf.math.log(tf.reduce_mean(tf.exp(logits)))))
        published = -weight * (positive - tf.reduce_logsumexp(logits))
    np.testing.assert_allclose(found, tape.gradient(published, states), rtol=2e-4, atol=1e-6)
