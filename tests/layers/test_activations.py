"""Gradients of the activations against their derivatives, and additions in place against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.activations import activation
from tfrec.layers.in_place import add_to_columns, add_to_rows, put_in_columns

POINTS = np.array([-30.0, -2.0, -1e-3, 1e-3, 0.7, 40.0])
BELOW = POINTS < 0


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("linear", np.ones(6)),
        ("relu", np.where(BELOW, 0.0, 1.0)),
        ("leaky-0.3", np.where(BELOW, 0.3, 1.0)),
        ("leaky-1.5", np.where(BELOW, 1.5, 1.0)),
        # elu: d/dx A (e^x - 1) = A e^x below 0
        ("elu-0.5", np.where(BELOW, 0.5 * np.exp(np.minimum(POINTS, 0)), 1.0)),
        ("elu-2", np.where(BELOW, 2.0 * np.exp(np.minimum(POINTS, 0)), 1.0)),
        ("selu-1.5-0.5", 1.5 * np.where(BELOW, 0.5 * np.exp(np.minimum(POINTS, 0)), 1.0)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slopes(name: str, slope: np.ndarray, dtype: str) -> None:
    x = tf.constant(POINTS, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = activation(name)(x)
    upstream = tf.constant([1.0, -2.0, 3.0, 0.5, 1.0, 4.0], dtype)
    found = tape.gradient(y, x, output_gradients=upstream)
    np.testing.assert_allclose(found, slope * upstream.numpy(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("in_graph", [False, True])
def test_additions_in_place(in_graph: bool) -> None:
    start = np.arange(12.0, dtype="f4").reshape(4, 3)
    rows, values = np.array([3, 1, 3]), np.array([[1, 2, 3], [10, 20, 30], [100, 200, 300]], "f4")
    columns, elements = np.array([2, 0, 0, 1]), np.array([1, 10, 100, 1000], "f4")

    def change(matrix: tf.Tensor) -> list[tf.Tensor]:
        return [
            add_to_rows(matrix * 1.0, tf.constant(rows, tf.int32), tf.constant(values)),
            add_to_columns(matrix * 2.0, tf.constant(columns), tf.constant(elements)),
            put_in_columns(matrix * 3.0, tf.constant(columns), tf.constant(elements)),
        ]

    added, by_column, put = (tf.function(change) if in_graph else change)(tf.constant(start))
    # Row 3 gets two of the values: [9, 10, 11] + [1, 2, 3] + [100, 200, 300].
    np.testing.assert_array_equal(added, [[0, 1, 2], [13, 24, 35], [6, 7, 8], [110, 212, 314]])
    np.testing.assert_array_equal(by_column, [[0, 2, 5], [16, 8, 10], [112, 14, 16], [18, 1020, 22]])
    np.testing.assert_array_equal(put, [[0, 3, 1], [10, 12, 15], [100, 21, 24], [27, 1000, 33]])
