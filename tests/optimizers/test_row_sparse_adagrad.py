"""Row-sparse Adagrad: values by hand, repeated rows, absent rows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.optimizers.deduplicate import DistinctSlices, deduplicate
from tfrec.optimizers.row_sparse_adagrad import RowSparseAdagrad


def apply(optimizer: RowSparseAdagrad, variable: keras.Variable, gradients) -> None:
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([gradient], [variable])


@pytest.mark.parametrize(
    # g = .5 then .2, lr .1, w0 = 1. acc = .25, .29; steps .5/sqrt(.250001) = .999998, .2/sqrt(.290001) = .371390.
    ("momentum", "expected"),
    # momentum .9: v1 = -.0999998; v2 = .9 v1 - .0371390 = -.1271388
    [(0.0, [0.9000002, 0.86286120]), (0.9, [0.9000002, 0.77286138])],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_two_steps_by_hand(momentum: float, expected: list[float], sparse: bool) -> None:
    variable = keras.Variable([[1.0]])
    optimizer = RowSparseAdagrad(0.1, momentum=momentum)
    for gradient, value in zip((0.5, 0.2), expected, strict=True):
        dense = tf.constant([[gradient]])
        apply(optimizer, variable, [tf.IndexedSlices(dense, tf.constant([0])) if sparse else dense])
        assert float(variable.numpy()[0, 0]) == pytest.approx(value, abs=2e-7)


def oracle(table: np.ndarray, steps, rate: float, momentum: float) -> np.ndarray:
    """Sums repeated rows, then updates row by row."""
    table, accumulator, velocity = table.astype(float).copy(), np.zeros_like(table, float), np.zeros_like(table, float)
    for rows, values in steps:
        for row in sorted(set(rows)):
            gradient = sum(value for other, value in zip(rows, values, strict=True) if other == row)
            accumulator[row] += gradient**2
            velocity[row] = momentum * velocity[row] - rate * gradient / np.sqrt(accumulator[row] + 1e-6)
            table[row] += velocity[row]
    return table


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_repeated_rows_are_summed_and_absent_rows_stay(momentum: float) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 3))
    steps = [([1, 4, 1, 1], rng.normal(size=(4, 3))), ([4, 2], rng.normal(size=(2, 3))), ([1], rng.normal(size=(1, 3)))]
    variable = keras.Variable(table, dtype="float32")
    apply(
        RowSparseAdagrad(0.1, momentum=momentum),
        variable,
        [tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows)) for rows, values in steps],
    )
    np.testing.assert_allclose(variable.numpy(), oracle(table, steps, 0.1, momentum), atol=1e-5)
    np.testing.assert_array_equal(variable.numpy()[[0, 3, 5]], table.astype("f4")[[0, 3, 5]])


def test_deduplicate_sums_and_keeps_the_order_of_appearance() -> None:
    rows, values = deduplicate(tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([7, 3, 7])))
    assert rows.numpy().tolist() == [7, 3]
    assert values.numpy().tolist() == [[5.0], [2.0]]


def test_distinct_slices_are_taken_at_their_word() -> None:
    slices = DistinctSlices(tf.constant([[1.0], [2.0]]), tf.constant([7, 3]))
    rows, values = deduplicate(slices)
    assert rows is slices.indices
    assert values is slices.values


def test_survives_a_round_trip_through_its_config() -> None:
    restored = RowSparseAdagrad.from_config(RowSparseAdagrad(0.3, momentum=0.2, epsilon=1e-5).get_config())
    assert (float(restored.learning_rate), restored.momentum, restored.epsilon) == (pytest.approx(0.3), 0.2, 1e-5)


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_rows_that_come_with_the_gradient_are_not_read_again(l2: float) -> None:
    """Two equal tables, one updated with the rows handed over; with L2 the shrunk rows count, not those handed over."""
    table = np.arange(12, dtype="f4").reshape(4, 3)
    rows, values = tf.constant([2, 0]), tf.constant([[1.0, -1.0, 2.0], [0.5, 0.25, 0.0]])
    updated = []
    for looked_up in (None, tf.gather(table, rows)):
        variable = keras.Variable(table)
        apply(RowSparseAdagrad(0.1, momentum=0.3, l2=l2), variable, [DistinctSlices(values, rows, looked_up=looked_up)])
        updated.append(variable.numpy())
    np.testing.assert_array_equal(*updated)
    assert (updated[0][[0, 2]] != table[[0, 2]]).any(axis=1).all()
