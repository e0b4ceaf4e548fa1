"""TFRS's FactorizedTopK beside our ranking: equal where scores are distinct, and where they are not."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.sequence_batches import make_batch
from tfrec.errors import ConfigError
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.tasks.retrieval import RetrievalTask, factorized_top_k

ITEMS, DIM, TARGETS = 40, 8, 300
CUTOFFS = [1, 5, 10]


class Fixed:
    """A scorer whose states and item vectors are given."""

    def __init__(self, states: np.ndarray, vectors: np.ndarray) -> None:
        self.states = tf.constant(states, tf.float32)
        self.vectors = tf.concat([tf.zeros([2, vectors.shape[1]]), tf.constant(vectors, tf.float32)], axis=0)
        self.vocab_size = self.vectors.shape[0]

    def encode_targets(self, batch: dict) -> tf.Tensor:
        return self.states

    def item_table(self) -> tuple[tf.Tensor, tf.Tensor]:
        return self.vectors, tf.zeros([self.vocab_size])


def of_tfrs(states: np.ndarray, vectors: np.ndarray, targets: np.ndarray, *, by_id: bool) -> list[float]:
    """TFRS's metric, updated from a compiled step as a training loop would."""
    task = RetrievalTask(metrics=[factorized_top_k(vectors, cutoffs=CUTOFFS)])

    @tf.function(autograph=False)
    def step(queries: tf.Tensor, positives: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        return task(queries, positives, candidate_ids=ids if by_id else None, compute_metrics=True)

    half = len(targets) // 2
    for part in (slice(0, half), slice(half, None)):
        step(
            tf.constant(states[part], tf.float32),
            tf.constant(vectors[targets[part]], tf.float32),
            tf.constant(targets[part], tf.int32),
        )
    results = task.metrics.results()
    assert len(results) == len(CUTOFFS)
    return [float(results[f"factorized_top_k/top_{cutoff}_categorical_accuracy"]) for cutoff in CUTOFFS]


def of_ours(states: np.ndarray, vectors: np.ndarray, targets: np.ndarray, tie_rule: str) -> list[float]:
    batch = make_batch([[2, int(target) + 2] for target in targets])
    result = evaluate_ranking(Fixed(states, vectors), [batch], cutoffs=CUTOFFS, tie_rule=tie_rule)
    return [result.metrics[f"hit@{cutoff}"] for cutoff in CUTOFFS]


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States that lean towards their targets; small integers, so that products are exact and can be compared."""
    random = np.random.default_rng(11)
    vectors = random.integers(-50, 51, size=(ITEMS, DIM)).astype(np.float32)
    targets = random.integers(0, ITEMS, size=TARGETS)
    states = np.round(0.5 * vectors[targets] + random.integers(-60, 61, size=(TARGETS, DIM))).astype(np.float32)
    return states, vectors, targets


@pytest.mark.parametrize("by_id", [False, True])
def test_equal_where_no_scores_are_equal(by_id: bool, data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    states, vectors, targets = data
    scores = states @ vectors.T
    distinct = np.array([len(np.unique(row)) == ITEMS for row in scores])
    assert distinct.sum() > 200
    states, targets = states[distinct], targets[distinct]
    expected = of_tfrs(states, vectors, targets, by_id=by_id)
    assert 0.1 < expected[0] < expected[1] < expected[2] < 1.0
    for tie_rule in ("standard", "median", "conservative"):
        np.testing.assert_allclose(of_ours(states, vectors, targets, tie_rule), expected, atol=1e-6)


def test_a_collapsed_model_is_perfect_for_tfrs_by_score(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """All vectors equal: 40 items share rank 1..40; by score TFRS lets every target be the first of them.

    By id, ties are in the order of the catalogue: the first k items are always the top k. The conservative rank is
    40, the median 20.5, and only the rule that is called optimistic elsewhere agrees with TFRS.
    """
    states, vectors, targets = data
    same = np.ones_like(vectors)
    assert of_tfrs(states, same, targets, by_id=False) == [1.0, 1.0, 1.0]
    by_id = of_tfrs(states, same, targets, by_id=True)
    np.testing.assert_allclose(by_id, [np.mean(targets < cutoff) for cutoff in CUTOFFS], atol=1e-6)
    assert of_ours(states, same, targets, "standard") == [1.0, 1.0, 1.0]
    assert of_ours(states, same, targets, "median") == [0.0, 0.0, 0.0]
    assert of_ours(states, same, targets, "conservative") == [0.0, 0.0, 0.0]


def test_duplicated_candidates_change_what_tfrs_says(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """One query scores items a, b, c, d as 4, 3, 2, 1; the target c has rank 3, so it is among the first 5 of 40.

    With a and b in the index three times each, six rows stand before c: TFRS counts rows, not items, and says nothing.
    """
    vectors = np.zeros((ITEMS, DIM), np.float32)
    vectors[:, 0] = -np.arange(ITEMS)
    states, targets = np.eye(1, DIM, dtype=np.float32), np.array([2])
    ids = np.arange(ITEMS, dtype=np.int32)
    expected = {1: 0.0, 5: 1.0, 10: 1.0}
    assert of_ours(states, vectors, targets, "conservative") == list(expected.values())
    doubled = np.concatenate([[0, 0, 1, 1], ids]).astype(np.int32)
    for rows, hit_at_5 in ((ids, 1.0), (doubled, 0.0)):
        metric = factorized_top_k(vectors[rows], rows, cutoffs=CUTOFFS)
        RetrievalTask(metrics=[metric])(
            states, vectors[targets], candidate_ids=tf.constant(targets, tf.int32), compute_metrics=True
        )
        assert [float(value) for value in metric.result()] == [0.0, hit_at_5, 1.0]


def test_metrics_of_the_catalogue_cost_nothing_unless_asked_for(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    states, vectors, targets = data
    metric = factorized_top_k(vectors, cutoffs=CUTOFFS)
    task = RetrievalTask(metrics=[metric])
    task(states, vectors[targets])
    assert [float(value) for value in metric.result()] == [0.0, 0.0, 0.0]
    task(states, vectors[targets], compute_metrics=True)
    assert float(metric.result()[2]) > 0.5
    task.metrics.reset()
    assert [float(value) for value in metric.result()] == [0.0, 0.0, 0.0]


def test_cutoff_beyond_the_catalogue() -> None:
    with pytest.raises(ConfigError, match="cutoffs"):
        factorized_top_k(np.eye(3, dtype=np.float32), cutoffs=[4])
