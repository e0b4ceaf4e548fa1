"""Attention in blocks against the plain formula, row by row, for every way of cutting blocks."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import blockwise_attention as module
from tfrec.layers.blockwise_attention import blockwise_attention

LENGTHS = [7, 7, 5, 3, 1, 6, 2]
HEADS, DIM = 2, 8


def plain(qkv: tf.Tensor, causal: bool) -> tf.Tensor:
    parts, start = [], 0
    for length in LENGTHS:
        query, key, value = (
            tf.transpose(tf.reshape(part, [length, HEADS, DIM // HEADS]), [1, 0, 2])
            for part in tf.split(qkv[start : start + length], 3, axis=1)
        )
        scores = tf.matmul(query, key, transpose_b=True) / (DIM // HEADS) ** 0.5
        if causal:
            scores += np.where(np.tri(length), 0.0, -np.inf).astype(np.float32)
        joined = tf.transpose(tf.matmul(tf.nn.softmax(scores), value), [1, 0, 2])
        parts.append(tf.reshape(joined, [length, DIM]))
        start += length
    return tf.concat(parts, axis=0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("piece", "scores", "training"),
    [(512, 1 << 21, False), (3, 200, True), (512, 100, False), (512, 100, True)],
)
def test_values_and_gradients(
    monkeypatch: pytest.MonkeyPatch, causal: bool, piece: int, scores: int, training: bool
) -> None:
    monkeypatch.setattr(module, "_PIECE", piece)
    monkeypatch.setattr(module, "_BLOCK_SCORES", scores)
    rng = np.random.default_rng(0)
    qkv = tf.constant(rng.normal(size=(sum(LENGTHS), 3 * DIM)).astype(np.float32))
    weights = rng.normal(size=(sum(LENGTHS), DIM)).astype(np.float32)

    @tf.function
    def ours(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(values)
            attended = blockwise_attention(values, tf.constant(LENGTHS), HEADS, causal=causal, training=training)
            total = tf.reduce_sum(attended * weights)
        return attended, tape.gradient(total, values)

    with tf.GradientTape() as tape:
        tape.watch(qkv)
        expected = plain(qkv, causal)
        total = tf.reduce_sum(expected * weights)
    found, gradient = ours(qkv)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(gradient, tape.gradient(total, qkv), atol=1e-5)


def test_dropout_is_unbiased_and_its_gradient_fits() -> None:
    length, rate = 40, 0.25
    values = np.ones((length, 3), np.float32)
    values[:, :2] = 0.0  # equal weights, values 1: the output is the share of kept weights over 1 - rate

    @tf.function
    def attended(seed: tf.Tensor) -> tf.Tensor:
        return blockwise_attention(tf.constant(values), tf.constant([length]), 1, dropout=rate, seed=seed)

    outputs = np.stack([attended(tf.constant([5, step]))[:, 0] for step in range(100)])  # [100, length]
    # 160,000 weights with a standard deviation of sqrt(.25 / .75) each: the mean is known to .0015.
    assert outputs.mean() == pytest.approx(1.0, abs=0.006)
    assert outputs.std() == pytest.approx((rate / (1 - rate) / length) ** 0.5, rel=0.05)
    assert np.array_equal(outputs[3], attended(tf.constant([5, 3]))[:, 0])
    rng = np.random.default_rng(1)
    qkv = tf.constant(rng.normal(size=(sum(LENGTHS), 3 * DIM)))
    step = rng.normal(size=qkv.shape).astype(np.float32) * 1e-2

    @tf.function
    def total(inputs: tf.Tensor, training: bool) -> tf.Tensor:
        result = blockwise_attention(
            tf.cast(inputs, tf.float32),
            tf.constant(LENGTHS),
            HEADS,
            dropout=rate,
            seed=tf.constant([1, 2]),
            training=training,
        )
        return tf.reduce_sum(tf.cast(result, tf.float64) * np.arange(DIM))

    gradients = []
    for training in (True, False):  # weights and masks are held, or computed and drawn again
        with tf.GradientTape() as tape:
            tape.watch(qkv)
            loss = total(qkv, training)
        gradients.append(tape.gradient(loss, qkv))
    np.testing.assert_allclose(*gradients, rtol=1e-6)
    slope = float(tf.reduce_sum(gradients[0] * step))
    assert float(total(qkv + step, True) - total(qkv - step, True)) / 2 == pytest.approx(slope, rel=1e-2)


def test_nothing_leaks_between_rows() -> None:
    rng = np.random.default_rng(2)
    qkv = rng.normal(size=(sum(LENGTHS), 3 * DIM)).astype(np.float32)
    changed = qkv.copy()
    changed[7:14] += 1.0  # the second row
    before = blockwise_attention(tf.constant(qkv), tf.constant(LENGTHS), HEADS).numpy()
    after = blockwise_attention(tf.constant(changed), tf.constant(LENGTHS), HEADS).numpy()
    np.testing.assert_array_equal(np.delete(before, range(7, 14), axis=0), np.delete(after, range(7, 14), axis=0))
    assert np.abs(before[7:14] - after[7:14]).min() > 0
