"""The user memory: its update by hand, its triggers, and that it touches the users of a step alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.oracles import preference_retriever as oracle
from tfrec.layers.user_memory import MemoryUpdate, UserMemory

USERS, DIM = 7, 4


def new_memory(**settings: Any) -> UserMemory:
    memory = UserMemory(USERS, DIM, seed=3, **settings)
    memory.build()
    random = np.random.default_rng(1)
    for weight in memory.trainable_weights:
        weight.assign(random.normal(0.0, 0.7, weight.shape).astype(np.float32))
    memory.prepare_training()
    return memory


def step(memory: UserMemory, users: list[int], inputs: Any, events: Any = 1, known: Any = True) -> MemoryUpdate:
    rows = len(users)
    update = memory.propose(
        tf.constant(users),
        tf.constant(inputs, tf.float32),
        tf.constant(np.broadcast_to(events, rows), tf.int32),
        tf.constant(np.broadcast_to(known, rows)),
    )
    memory.commit(update)
    return update


def state(memory: UserMemory, name: str) -> Any:
    return memory.training_state[name].numpy()


def test_two_updates_by_hand() -> None:
    memory = new_memory(interactions=1, decay=0.9, history=3)
    random = np.random.default_rng(2)
    first, second = random.normal(size=(2, 1, DIM))
    weights = [weight.numpy().astype(np.float64) for weight in memory.cell.weights]
    step(memory, [3], first)
    one = oracle.gru(first[0], np.zeros(DIM), weights)  # the first update is whole
    np.testing.assert_allclose(memory.vectors.numpy()[3], one, atol=1e-6)
    step(memory, [3], second)
    two = 0.9 * one + 0.1 * oracle.gru(second[0], one, weights)
    np.testing.assert_allclose(memory.vectors.numpy()[3], two, atol=1e-6)
    np.testing.assert_allclose(state(memory, "history")[3], [one, np.zeros(DIM), np.zeros(DIM)], atol=1e-6)
    memory.mark([3])
    step(memory, [3], first)
    np.testing.assert_allclose(memory.vectors.numpy()[3], oracle.gru(first[0], two, weights), atol=1e-6)
    assert not state(memory, "marked").any()
    assert state(memory, "updates").tolist() == [0, 0, 0, 3, 0, 0, 0]
    assert state(memory, "last_step")[3] == state(memory, "step") == 3
    assert not memory.vectors.numpy()[[0, 1, 2, 4, 5, 6]].any()  # nobody else's row is touched
    memory.reset([3])
    assert not memory.vectors.numpy().any()
    assert not state(memory, "history").any()


def test_after_so_many_events() -> None:
    memory = new_memory(trigger="count", interactions=10)
    inputs = np.ones([2, DIM])
    due = [step(memory, [2, 5], inputs, [4, 7]).due.numpy().tolist() for _ in range(4)]
    # User 2: 4, 8, 12 -> written, 4; user 5: 7, 14 -> written, 7, 14 -> written.
    assert due == [[False, False], [False, True], [True, False], [False, True]]
    assert state(memory, "interactions")[[2, 5]].tolist() == [4, 0]
    assert state(memory, "all_interactions")[[2, 5]].tolist() == [16, 28]


def test_after_so_many_steps_and_only_when_asked_for() -> None:
    memory = new_memory(trigger="time", steps=3)
    due = [step(memory, [2], np.ones([1, DIM])).due.numpy()[0] for _ in range(8)]
    assert [number for number, now in enumerate(due) if now] == [0, 3, 6]
    memory = new_memory(trigger="explicit")
    assert not step(memory, [2, 3], np.ones([2, DIM])).due.numpy().any()
    memory.mark(tf.constant([3]))
    assert step(memory, [2, 3], np.ones([2, DIM])).due.numpy().tolist() == [False, True]
    assert not step(memory, [2, 3], np.ones([2, DIM])).due.numpy().any()


def test_when_the_user_has_changed() -> None:
    memory = new_memory(trigger="drift", drift=0.3)
    old, near, far = [1.0, 0.0, 0, 0], [0.8, 0.6, 0, 0], [0.6, 0.8, 0, 0]  # cosines with the first: .8 and .6
    assert [bool(step(memory, [4], [inputs]).due.numpy()[0]) for inputs in (old, near, near, far)] == [
        True,
        False,
        False,
        True,
    ]
    assert not step(memory, [4], [near]).due.numpy()[0]  # of the user at the last update: .48 + .48 = .96


def test_unknown_users_and_users_without_a_past_have_no_memory() -> None:
    memory = new_memory(interactions=1)
    update = step(memory, [0, 1, 5, 6], np.ones([4, DIM]), known=[True, True, False, True])
    assert update.due.numpy().tolist() == [False, False, False, True]
    assert np.flatnonzero(memory.vectors.numpy().any(axis=1)).tolist() == [6]


def test_of_several_rows_of_a_user_the_last_one_counts() -> None:
    memory, other = new_memory(interactions=2), new_memory(interactions=2)
    rows = np.random.default_rng(5).normal(size=(3, DIM))
    update = step(memory, [4, 2, 4], rows)
    assert update.users.numpy().tolist() == [4, 2]
    assert update.due.numpy().tolist() == [True, False]
    step(other, [4], rows[2:], events=2)
    np.testing.assert_allclose(memory.vectors.numpy(), other.vectors.numpy(), atol=1e-7)


def test_gradients_reach_the_cell_through_memories_that_are_due() -> None:
    memory = new_memory(interactions=1)
    with tf.GradientTape() as tape:
        update = memory.propose(tf.constant([3, 2]), tf.ones([2, DIM]), tf.constant([1, 0]), tf.constant([True, True]))
        memories = memory.memories_of(tf.constant([2, 3]), update)
        loss = tf.reduce_sum(tf.square(memories))
    np.testing.assert_array_equal(memories[0], 0.0)
    (gradient,) = tape.gradient(loss, [memory.cell.input_kernel.value])
    assert float(tf.reduce_max(tf.abs(gradient))) > 1e-3


def test_an_unused_memory_changes_nothing() -> None:
    memory = new_memory()
    candidates = tf.constant(np.random.default_rng(1).normal(size=(2, 3, DIM)), tf.float32)
    memories = tf.constant([[0.0] * DIM, [0.5] * DIM])
    found = memory(candidates, memories).numpy()
    np.testing.assert_array_equal(found[0], candidates[0])
    gate = [weight.numpy().astype(np.float64) for weight in memory.gate.weights]
    for item in range(3):
        wanted = oracle.remember(candidates[1, item].numpy().astype(np.float64), np.full(DIM, 0.5), gate)
        np.testing.assert_allclose(found[1, item], wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["count", "time", "drift", "explicit"])
def test_as_a_graph_it_reads_before_it_writes(name: str) -> None:
    memory = new_memory(trigger=name, interactions=1)
    memory.mark([2])

    @tf.function
    def one(inputs: tf.Tensor) -> tf.Tensor:
        before = memory.read(tf.constant([2]))
        memory.commit(memory.propose(tf.constant([2]), inputs, tf.constant([1]), tf.constant([True])))
        return before

    assert not one(tf.ones([1, DIM])).numpy().any()
    assert memory.vectors.numpy()[2].any()
