"""Logarithm of a sum of exponentials: exclusions, huge scores, chunks, nothing at all."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfrec.losses.log_normalizer as module
from tfrec.losses.log_normalizer import log_normalizer

TARGETS, ITEMS, DIM = 11, 9, 3
RNG = np.random.default_rng(0)
STATES, VECTORS, BIAS = RNG.normal(size=(TARGETS, DIM)), RNG.normal(size=(ITEMS, DIM)), RNG.normal(size=ITEMS)
EXCLUDED = RNG.integers(0, ITEMS + 1, (TARGETS, 4)).astype(np.int32)  # 9 stands for none
UPSTREAM = np.linspace(-1.0, 2.0, TARGETS)


def oracle(states: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Values, and the gradients of `UPSTREAM . value` by states, vectors and bias."""
    scores = states @ VECTORS.T + bias
    allowed = np.ones((TARGETS, ITEMS + 1), bool)
    np.put_along_axis(allowed, EXCLUDED, False, axis=1)
    scores = np.where(allowed[:, :ITEMS], scores, -np.inf)
    values = np.logaddexp.reduce(scores, axis=1)
    by_scores = np.exp(scores - values[:, np.newaxis]) * UPSTREAM[:, np.newaxis]
    return values, [by_scores @ VECTORS, by_scores.T @ states, by_scores.sum(axis=0)]


@pytest.mark.parametrize("chunk_rows", [TARGETS, 6, 2])
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("with_bias", [True, False])
def test_exclusions(chunk_rows: int, scale: float, with_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale of 100 makes scores of several hundreds, whose exponentials overflow unless the highest is subtracted."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 4 * (ITEMS + 1) * chunk_rows)
    states = scale * STATES
    weights = [tf.Variable(array, dtype=tf.float32) for array in (states, VECTORS, BIAS)]

    @tf.function(autograph=False)
    def compute() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            values = log_normalizer(
                weights[0], weights[1], weights[2] if with_bias else None, excluded=tf.constant(EXCLUDED)
            )
            total = tf.reduce_sum(values * tf.constant(UPSTREAM, tf.float32))
        return values, tape.gradient(total, weights[: 3 if with_bias else 2])

    values, gradients = compute()
    expected, slopes = oracle(states, BIAS if with_bias else np.zeros(ITEMS))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    for gradient, slope in zip(gradients, slopes, strict=False):
        np.testing.assert_allclose(gradient, slope, atol=1e-4 * max(1.0, float(np.abs(slope).max())))


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_everything_excluded(scale: float) -> None:
    states, vectors = tf.Variable(scale * STATES[:1], dtype=tf.float32), tf.Variable(VECTORS[:2], dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = log_normalizer(states, vectors, None, excluded=tf.constant([[0, 1, 2]]))
    assert np.isfinite(value.numpy()[0])
    assert value.numpy()[0] <= np.log(1e-30) + 1e-4
    for gradient in tape.gradient(value, [states, vectors]):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def test_no_targets() -> None:
    states, vectors = tf.zeros([0, DIM]), tf.Variable(VECTORS, dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = log_normalizer(states, vectors, None)
    assert value.shape == (0,)
    np.testing.assert_array_equal(tape.gradient(value, vectors), np.zeros((ITEMS, DIM)))


def test_a_state_that_is_not_a_number_shows() -> None:
    value = log_normalizer(tf.constant([[np.nan, 0.0, 0.0], [1.0, 0.0, 0.0]]), tf.constant(VECTORS, tf.float32), None)
    assert np.isnan(value.numpy()).tolist() == [True, False]
