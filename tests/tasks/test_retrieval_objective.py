"""The retrieval task as an objective over states: negatives, probabilities, groups."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from tests.oracles.retrieval import retrieval_losses
from tfrec.config.retrieval_config import RetrievalConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.errors import DataError
from tfrec.layers.item_table import ItemTable
from tfrec.models.sasrec import SASRec
from tfrec.optimizers.row_sparse_adam import RowSparseAdam
from tfrec.tasks.retrieval_objective import RetrievalObjective

VOCAB, DIM = 9, 4
COUNTS = np.array([0, 0, 40, 30, 10, 10, 6, 4, 0])  # item 8 is cold
HISTORY = np.array([[2, 3, 2, 4], [5, 2, 6, 0], [7, 3, 0, 0]], np.int32)
TARGETS = np.array([3, 2, 4, 2, 6, 3], np.int32)
SEQUENCE = np.array([0, 0, 0, 1, 1, 2], np.int32)
STATES = np.random.default_rng(1).normal(size=(len(TARGETS), DIM)).astype(np.float32)
VECTORS = np.random.default_rng(2).normal(size=(VOCAB, DIM)).astype(np.float32)
BIAS = np.random.default_rng(3).normal(size=VOCAB).astype(np.float32)
PLAIN = {"sampling_correction": "none", "remove_accidental_hits": False, "exclude_history": False}


@pytest.fixture
def table() -> ItemTable:
    items = ItemTable(VOCAB, DIM)
    items.build()
    items.vectors.assign(VECTORS)
    items.bias.assign(BIAS)
    return items


def losses_of(table: ItemTable, **settings: object) -> np.ndarray:
    return compiled(table, **settings)(0)


def compiled(table: ItemTable, **settings: object) -> Callable[[int], np.ndarray]:
    """Losses as a function of the seed, inside a graph without autograph as in a training step."""
    objective = RetrievalObjective(RetrievalConfig(**settings), COUNTS)

    @tf.function(autograph=False)
    def losses(seed: tf.Tensor) -> tf.Tensor:
        return objective(
            tf.constant(STATES),
            tf.constant(TARGETS),
            table,
            history=tf.constant(HISTORY),
            sequence_of_target=tf.constant(SEQUENCE),
            seed=tf.stack([3, seed]),
        )

    return lambda seed: losses(tf.constant(seed)).numpy()


def with_bias() -> tuple[np.ndarray, np.ndarray]:
    """Scores `state . vector + bias` as one product."""
    ones = np.ones((len(TARGETS), 1), np.float32)
    return np.hstack([STATES, ones]), np.hstack([VECTORS, BIAS[:, None]])[TARGETS]


def test_targets_are_each_others_negatives(table: ItemTable) -> None:
    queries, candidates = with_bias()
    np.testing.assert_allclose(losses_of(table, **PLAIN), retrieval_losses(queries, candidates), rtol=1e-5)
    warm = losses_of(table, **PLAIN, temperature=0.5)
    np.testing.assert_allclose(warm, retrieval_losses(queries, candidates, temperature=0.5), rtol=1e-5)


def test_further_copies_of_the_target_are_left_out(table: ItemTable) -> None:
    """Items 2 and 3 are twice among the six targets."""
    queries, candidates = with_bias()
    losses = losses_of(table, **{**PLAIN, "remove_accidental_hits": True})
    np.testing.assert_allclose(losses, retrieval_losses(queries, candidates, ids=TARGETS), rtol=1e-5)


def test_items_of_the_own_sequence_are_left_out(table: ItemTable) -> None:
    queries, candidates = with_bias()
    losses = losses_of(table, **{**PLAIN, "exclude_history": True})
    mask = np.array([[item not in HISTORY[row] for item in TARGETS] for row in SEQUENCE])
    assert mask.sum(axis=1).tolist() == [1, 1, 1, 3, 3, 4]  # sequence 0 has all of 2, 3, 4: only item 6 is left
    mask |= TARGETS[:, None] == TARGETS  # copies of the target itself are another setting's business
    np.testing.assert_allclose(losses, retrieval_losses(queries, candidates, mask=mask), rtol=1e-5)


def test_hard_negatives(table: ItemTable) -> None:
    queries, candidates = with_bias()
    losses = losses_of(table, **PLAIN, num_hard_negatives=2)
    np.testing.assert_allclose(losses, retrieval_losses(queries, candidates, hard_negatives=2), rtol=1e-5)


def test_correction_by_counts(table: ItemTable) -> None:
    """The shares of all training events; a common factor has no effect, so the oracle may use them unscaled."""
    queries, candidates = with_bias()
    share = COUNTS[TARGETS] / COUNTS.sum()
    np.testing.assert_allclose(share, [0.3, 0.4, 0.1, 0.4, 0.06, 0.3])
    losses = losses_of(table, **{**PLAIN, "sampling_correction": "counts"})
    np.testing.assert_allclose(losses, retrieval_losses(queries, candidates, probability=share), rtol=1e-5)


def test_probabilities_of_a_large_catalogue_are_not_clipped() -> None:
    """Two million items: shares of 5e-7 and 1e-6 are below TFRS's limit of 1e-6, yet keep their ratio of 1 to 2."""
    counts = np.ones(2_000_002)
    counts[:2] = 0
    counts[2] = 2
    objective = RetrievalObjective(RetrievalConfig(), counts)
    probability = objective.sampling_probability(tf.constant([2, 3, 1_000_000]), tf.constant(128)).numpy()
    np.testing.assert_allclose(probability, [1.0, 0.5, 0.5], rtol=1e-5)


def test_probability_of_a_mixture() -> None:
    """Three targets and two uniform negatives among seven items (2..8), 100 events.

    Item 2: 3 * 0.4 + 2 / 7 = 1.485714 expected copies, the most of all; item 7: 3 * 0.04 + 2 / 7 = 0.405714, a share of
    0.273077; item 8, which is cold: 2 / 7, a share of 0.192308.
    """
    objective = RetrievalObjective(RetrievalConfig(uniform_negatives=2), COUNTS)
    probability = objective.sampling_probability(tf.constant([2, 7, 8]), tf.constant(3)).numpy()
    np.testing.assert_allclose(probability, [1.0, 0.273077, 0.192308], rtol=1e-5)


def test_uniform_negatives_are_appended_and_change_with_the_seed(table: ItemTable) -> None:
    """With one item vector far ahead of all others, the loss tells how often it was drawn: it is the cold item 8."""
    table.bias.assign(np.where(np.arange(VOCAB) == 8, 40.0, 0.0))
    table.vectors.assign(np.zeros((VOCAB, DIM)))
    draws = []
    losses_by_seed = compiled(table, **PLAIN, uniform_negatives=7)
    for seed in range(200):
        losses = losses_by_seed(seed)
        # n draws of item 8: ln(n e^40 + 12 or so), that is 40 + ln n; none: ln 13
        drawn = np.round(np.exp(np.maximum(losses[0] - 40.0, -20.0)), 2)
        np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
        draws.append(float(drawn))
    assert set(np.unique(draws)) <= {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0}
    assert np.mean(draws) == pytest.approx(1.0, abs=0.25)  # 7 draws of 7 items; standard error 0.065
    np.testing.assert_array_equal(losses_by_seed(5), losses_by_seed(5))


def test_groups_hold_every_target_once_and_losses_keep_their_order(table: ItemTable) -> None:
    """A task that returns the id of each positive shows which target stands where."""
    objective = RetrievalObjective(RetrievalConfig(group_size=4), COUNTS)
    sizes: list[int] = []

    def spy(queries: tf.Tensor, candidates: tf.Tensor, *, candidate_ids: tf.Tensor, **_: object) -> tf.Tensor:
        sizes.append(int(queries.shape[0]))
        np.testing.assert_array_equal(queries[:, :DIM], STATES[order_of(queries)])
        return tf.cast(candidate_ids, tf.float32)

    def order_of(queries: tf.Tensor) -> list[int]:
        return [int(np.argmin(np.abs(STATES - query[:DIM]).sum(axis=1))) for query in queries.numpy()]

    objective.task = spy
    losses = objective(
        tf.constant(STATES),
        tf.constant(TARGETS),
        table,
        history=tf.constant(HISTORY),
        sequence_of_target=tf.constant(SEQUENCE),
        seed=tf.constant([1, 2]),
    )
    assert sizes == [3, 3]  # six targets in groups of at most four: two of three
    np.testing.assert_array_equal(losses, TARGETS)


def test_groups_of_two_by_arithmetic(table: ItemTable) -> None:
    """Each target has exactly one negative: its loss must be that of one of the five possible partners."""
    queries, candidates = with_bias()
    seen = set()
    losses_by_seed = compiled(table, **PLAIN, group_size=2)
    for seed in range(6):
        losses = losses_by_seed(seed)
        scores = queries @ candidates.T
        possible = np.log1p(np.exp(scores - np.diagonal(scores)[:, None]))  # [target, partner]
        np.fill_diagonal(possible, np.inf)
        gap = np.abs(possible - losses[:, None])
        assert gap.min(axis=1).max() < 1e-4
        seen.add(tuple(gap.argmin(axis=1)))
    assert len(seen) > 1  # dealt anew in every step


def test_gradient_touches_only_items_that_were_compared(table: ItemTable) -> None:
    objective = RetrievalObjective(RetrievalConfig(), COUNTS)

    @tf.function(autograph=False)
    def gradients(seed: tf.Tensor) -> tuple:
        with tf.GradientTape() as tape:
            losses = objective(
                tf.constant(STATES),
                tf.constant(TARGETS),
                table,
                history=tf.constant(HISTORY),
                sequence_of_target=tf.constant(SEQUENCE),
                seed=seed,
            )
            loss = tf.reduce_sum(losses)
        return tape.gradient(loss, [table.vectors.value, table.bias.value])

    for gradient in gradients(tf.constant([0, 0])):
        assert isinstance(gradient, tf.IndexedSlices)
        assert sorted(gradient.indices.numpy().tolist()) == [2, 3, 4, 6]  # each once, items 5 and 7 are inputs only


def test_states_learn_what_the_counts_say() -> None:
    """One constant state, items in proportion 8 : 4 : 2 : 1 : 1; the corrected softmax ends at the log shares.

    Without the correction, frequent items are negatives as often as they are targets, so that their scores end
    equal: only the interest beyond popularity is left.
    """
    shares = np.array([8, 4, 2, 1, 1]) / 16
    counts = np.concatenate([[0, 0], shares * 1600])
    random = np.random.default_rng(0)
    spreads = []
    for correction in ("counts", "none"):
        items = ItemTable(7, 1)
        items.build()
        objective = RetrievalObjective(RetrievalConfig(**{**PLAIN, "sampling_correction": correction}), counts)

        @tf.function(autograph=False)
        def step(targets: tf.Tensor, objective: RetrievalObjective = objective, items: ItemTable = items) -> None:
            with tf.GradientTape() as tape:
                losses = objective(
                    tf.zeros([256, 1]),
                    targets,
                    items,
                    history=targets[:, tf.newaxis],
                    sequence_of_target=tf.range(256),
                    seed=tf.constant([0, 0]),
                )
                loss = tf.reduce_mean(losses)
            gradient = tape.gradient(loss, items.bias.value)
            items.bias.value.assign_sub(tf.convert_to_tensor(gradient))

        for _ in range(300):
            step(tf.constant(random.choice(np.arange(2, 7), size=256, p=shares), tf.int32))
        bias = items.bias.numpy()[2:]
        spreads.append(bias - bias.mean())
    expected = np.log(shares) - np.log(shares).mean()
    np.testing.assert_allclose(spreads[0], expected, atol=0.25)
    assert expected[0] - expected[-1] == pytest.approx(math.log(8))
    assert np.abs(spreads[1]).max() < 0.5


def test_counts_without_events() -> None:
    with pytest.raises(DataError, match="positive count"):
        RetrievalObjective(RetrievalConfig(), np.zeros(5))


def test_batch_without_targets_has_no_losses(table: ItemTable) -> None:
    objective = RetrievalObjective(RetrievalConfig(uniform_negatives=3), COUNTS)
    nothing = tf.zeros([0], tf.int32)
    losses = objective(
        tf.zeros([0, DIM]),
        nothing,
        table,
        history=tf.zeros([2, 4], tf.int32),
        sequence_of_target=nothing,
        seed=tf.constant([0, 0]),
    )
    assert losses.shape == (0,)


@pytest.mark.parametrize("uniform_negatives", [0, 3])
def test_a_batch_of_unknown_items_only_is_a_step_that_changes_nothing(uniform_negatives: int) -> None:
    """The gradient of an empty group ended the process."""
    encoder = SASRec(SASRecConfig(dim=DIM, blocks=1, heads=1, max_length=4, dropout=0.0), VOCAB, seed=1)
    encoder.prepare_training(RetrievalObjective(RetrievalConfig(uniform_negatives=uniform_negatives), COUNTS))
    encoder.compile(optimizer=RowSparseAdam(0.1), jit_compile=False)
    before = encoder.get_weights()
    batch = {"item": tf.constant([[1, 1, 1], [1, 1, 0]]), "length": tf.constant([3, 2])}
    history = encoder.fit(tf.data.Dataset.from_tensors(batch), verbose=0, shuffle=False).history
    assert history["loss"] == [0.0]
    for one, two in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


def test_history_is_left_out_in_every_group(table: ItemTable) -> None:
    """Against plain sets, with candidates that repeat and sequences that are in some groups only."""
    random = np.random.default_rng(4)
    length = 6
    history = random.integers(1, VOCAB, size=(12, length)).astype(np.int32)
    history[::3, 4:] = 0
    sequence = random.integers(0, 12, size=30).astype(np.int32)
    targets = np.maximum(history[sequence, random.integers(0, 4, size=30)], 2)
    states = np.arange(30, dtype=np.float32)[:, None] * np.ones(DIM, np.float32)  # tells which target is which
    objective = RetrievalObjective(RetrievalConfig(group_size=7, uniform_negatives=4), COUNTS)
    met: list[int] = []

    def spy(queries: tf.Tensor, candidates: tf.Tensor, **given: tf.Tensor) -> tf.Tensor:
        rows = queries.numpy()[:, 0].astype(int)
        met.extend(rows.tolist())
        ids, mask = given["candidate_ids"].numpy(), given["score_mask"].numpy()
        expected = [[item == targets[row] or item not in history[sequence[row]] for item in ids] for row in rows]
        np.testing.assert_array_equal(mask, expected)
        return tf.zeros([len(rows)])

    objective.task = spy
    objective(
        tf.constant(states),
        tf.constant(targets),
        table,
        history=tf.constant(history),
        sequence_of_target=tf.constant(sequence),
        seed=tf.constant([1, 2]),
    )
    assert sorted(met) == list(range(30))


def test_nothing_grows_with_the_square_of_the_batch() -> None:
    """64 sequences of 16 targets, all items distinct: no tensor may hold an entry per item and sequence (65,536)."""
    batch, length = 64, 17
    history = np.arange(batch * length, dtype=np.int32).reshape(batch, length) + 2
    items = ItemTable(history.size + 2, DIM)
    items.build()
    objective = RetrievalObjective(RetrievalConfig(group_size=16), np.r_[0, 0, np.ones(history.size)])
    objective.task = lambda queries, candidates, **_: tf.zeros(tf.shape(queries)[:1])
    largest = 0

    def look(op_type: str, inputs: Any, attributes: Any, outputs: Any, *_: Any, **__: Any) -> None:
        nonlocal largest
        largest = max([largest, *(int(np.prod(output.shape)) for output in outputs)])

    op_callbacks.add_op_callback(look)
    try:
        objective(
            tf.zeros([batch * (length - 1), DIM]),
            tf.constant(history[:, 1:].ravel()),
            items,
            history=tf.constant(history),
            sequence_of_target=tf.repeat(tf.range(batch), length - 1),
            seed=tf.constant([1, 2]),
        )
    finally:
        op_callbacks.remove_op_callback(look)
    assert batch * length <= largest <= 8 * batch * length
