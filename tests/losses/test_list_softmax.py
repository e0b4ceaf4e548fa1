"""Softmax over the shared list of a step, by hand; distillation; cuts of sequences."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.data.sequence_cuts import sequence_cuts
from tfrec.losses.list_softmax import CandidateList, candidate_list, list_distillation, list_softmax


def test_the_list_holds_targets_and_draws_once_and_neither_own_nor_untrained_items_are_negatives() -> None:
    sequences = tf.constant([[2, 3, 4, 0], [5, 2, 0, 0]])
    share = tf.constant([0.0, 0.0, 0.4, 0.1, 0.1, 0.3, 0.1, 0.0])  # item 7 has no training event
    found = candidate_list(
        tf.constant([4, 2]), tf.constant([0, 1]), sequences, share, draws=40, seed=tf.constant([1, 2])
    )
    ids = found.ids.numpy().tolist()
    assert sorted(ids) == [2, 3, 4, 5, 6, 7]  # 40 draws of 6 items miss none with this seed
    assert [ids[column] for column in found.target_column] == [4, 2]
    allowed = {user: {ids[c] for c in np.flatnonzero(row)} for user, row in enumerate(found.allowed.numpy())}
    assert allowed == {0: {5, 6}, 1: {3, 4, 6}}
    expected = np.array([2 * share[item] + 40 / 6 for item in ids])  # two targets and 40 draws
    np.testing.assert_allclose(np.exp(found.log_inclusion), 1 - np.exp(-expected), rtol=1e-5)


def test_loss_by_hand() -> None:
    candidates = CandidateList(
        ids=tf.constant([2, 3, 4]),
        target_column=tf.constant([0, 2]),
        target_row=tf.constant([0, 1]),
        drawn=tf.constant([True, True, True]),
        allowed=tf.constant([[False, True, True], [False, False, False]]),
        log_inclusion=tf.math.log([0.5, 0.25, 1.0]),
    )
    scores = np.log([[3.0, 2.0, 5.0], [1.0, 1.0, 1.0]])
    # User 0: target 3, negatives 2 / .25 = 8 and 5 / 1. User 1 has no negatives.
    found = list_softmax(tf.constant(scores, tf.float32), candidates)
    np.testing.assert_allclose(found, [-np.log(3 / 16), 0.0], atol=1e-5)


def test_estimates_the_softmax_over_the_whole_catalogue() -> None:
    """Lists of less than half of the items, many times: the mean of the estimated normaliser is that of all items."""
    random = np.random.default_rng(0)
    vocab, target = 102, 17
    scores = random.normal(size=vocab).astype(np.float32)
    share = tf.one_hot(target, vocab, off_value=1e-9)  # the others are in the list by the uniform draws alone

    @tf.function
    def normaliser(draw: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([7, draw])
        found = candidate_list(tf.constant([target]), tf.constant([0]), tf.constant([[target]]), share, 60, seed)
        loss = list_softmax(tf.gather(scores, found.ids)[tf.newaxis], found)
        return tf.exp(loss[0] + scores[target])

    found = [float(normaliser(tf.constant(draw))) for draw in range(200)]
    np.testing.assert_allclose(np.mean(found), np.exp(scores[2:]).sum(), rtol=0.03)


def test_distillation_by_hand() -> None:
    student, teacher = np.array([[0.0, np.log(3.0)]]), np.array([[np.log(4.0), 0.0]])
    found = list_distillation(tf.constant(student), tf.constant(teacher), 1.0)
    wanted = 0.8 * np.log(0.8 / 0.25) + 0.2 * np.log(0.2 / 0.75)
    np.testing.assert_allclose(found, [wanted], rtol=1e-6)
    at_two = list_distillation(tf.constant(2 * student), tf.constant(2 * teacher), 2.0)
    np.testing.assert_allclose(at_two, [4 * wanted], rtol=1e-6)


def test_cuts() -> None:
    items = np.zeros([300, 12], np.int32)
    items[:, :10] = np.arange(2, 12)
    items[:, 8] = 1  # an unknown item is no target
    length = np.full(300, 10, np.int32)
    length[-1] = 1
    found = sequence_cuts(tf.constant(items), tf.constant(length), tf.constant([1, 2]), targets=3, early_share=0.45)
    early, cut, events = (part.numpy() for part in found[:3])
    assert set(early[:-1]) == {4}
    assert set(cut[:-1]) == {4, 5, 6, 7, 8, 9}
    np.testing.assert_array_equal(events[:-1], np.minimum(3, 10 - cut[:-1]))
    assert events[-1] == 0
    for row in range(300):
        wanted = [items[row, at] for at in range(cut[row], cut[row] + events[row]) if items[row, at] > 1]
        assert found.target.numpy()[found.row.numpy() == row].tolist() == wanted
    late = sequence_cuts(tf.constant(items), tf.constant(length), tf.constant([1, 2]), targets=3, last=2)
    assert set(late.cut.numpy()[:-1]) == {8, 9}
