"""Softmax over all items against a plain float64 computation."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfrec.losses.log_normalizer as module
from tfrec.losses.full_softmax import full_softmax

TARGETS, ITEMS, DIM = 13, 48, 8
RNG = np.random.default_rng(0)
STATES, VECTORS, BIAS = RNG.normal(size=(TARGETS, DIM)), RNG.normal(size=(ITEMS, DIM)), RNG.normal(size=ITEMS)
LABELS = RNG.integers(0, ITEMS, TARGETS)
UPSTREAM = np.arange(TARGETS) / TARGETS


def oracle(
    states: np.ndarray, vectors: np.ndarray, bias: np.ndarray, smoothing: float
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Loss per target and the gradients of `UPSTREAM . loss` by states, vectors and bias."""
    scores = states @ vectors.T + bias
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    wanted = np.full((TARGETS, ITEMS), smoothing / (ITEMS - 1))
    wanted[np.arange(TARGETS), LABELS] = 1.0 - smoothing
    by_scores = (softmax - wanted) * UPSTREAM[:, np.newaxis]
    return -(wanted * np.log(softmax)).sum(axis=1), [by_scores @ vectors, by_scores.T @ states, by_scores.sum(axis=0)]


@pytest.mark.parametrize("chunk_rows", [TARGETS, 5, 1])
@pytest.mark.parametrize(("smoothing", "reserved"), [(0.0, 0), (0.1, 2), (0.0, 2)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_loss_and_gradients(
    chunk_rows: int, smoothing: float, reserved: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * ITEMS * chunk_rows)
    no_items = np.full((reserved, DIM), 3.0), np.full(reserved, 3.0)
    arrays = STATES, np.concatenate([no_items[0], VECTORS]), np.concatenate([no_items[1], BIAS])
    variables = [tf.Variable(array, dtype=tf.float32) for array in arrays]

    @tf.function(autograph=False)
    def compute() -> tuple[tf.Tensor, list[tf.Tensor]]:
        states, vectors, bias = variables
        with tf.GradientTape() as tape:
            loss = full_softmax(
                states,
                tf.constant(LABELS + reserved),
                vectors,
                bias if with_bias else None,
                reserved=reserved,
                label_smoothing=smoothing,
            )
            total = tf.reduce_sum(loss * tf.constant(UPSTREAM, tf.float32))
        gradients = tape.gradient(total, variables[: 3 if with_bias else 2])
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    loss, gradients = compute()
    expected_loss, expected = oracle(STATES, VECTORS, BIAS if with_bias else np.zeros(ITEMS), smoothing)
    np.testing.assert_allclose(loss, expected_loss, atol=1e-5)
    for gradient, wanted, of_item in zip(gradients, expected, (False, True, True), strict=False):
        if of_item:
            np.testing.assert_array_equal(gradient[:reserved], np.zeros_like(wanted[:reserved]))
        np.testing.assert_allclose(gradient[reserved if of_item else 0 :], wanted, atol=1e-5)
