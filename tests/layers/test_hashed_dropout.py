"""Hashed drop-out: rate, independence of pairs, seeds."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.hashed_dropout import hashed_dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rate_and_independence(rate: float) -> None:
    ones = tf.ones([300, 40])
    masks = np.stack([hashed_dropout(ones, rate, tf.constant([3, step]), "x") for step in range(50)])
    dropped = masks == 0
    np.testing.assert_allclose(masks[~dropped], 1 / (1 - rate), rtol=1e-6)
    # 600,000 elements, pairwise independent: the share is known to sqrt(.25 / 600,000) = .0007.
    assert dropped.mean() == pytest.approx(rate, abs=0.003)
    spread = (rate * (1 - rate)) ** 0.5
    for axis, size in ((1, 300), (2, 40)):  # means of columns and of rows vary as those of independent draws
        assert dropped.mean(axis=axis).std() == pytest.approx(spread / size**0.5, rel=0.1)
    neighbours = dropped[:, :-1] & dropped[:, 1:]
    assert neighbours.mean() == pytest.approx(rate**2, abs=0.005)
    # Rows of one mask are no more alike than those of independent draws: 40 products of variance (rate (1 - rate))^2.
    alike = np.einsum("src,stc->srt", dropped - rate, dropped - rate)[:, ~np.tri(300, dtype=bool)]
    assert alike.std() == pytest.approx(spread**2 * 40**0.5, rel=0.03)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_gradient_is_masked_alike(rate: float) -> None:
    inputs, weights = tf.random.stateless_normal([30, 8], [1, 2]), tf.random.stateless_normal([30, 8], [3, 4])

    @tf.function
    def value_and_gradient() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            left = hashed_dropout(inputs, rate, tf.constant([1, 5]), "a")
        return left, tape.gradient(left, inputs, output_gradients=weights)

    left, gradient = value_and_gradient()
    np.testing.assert_allclose(gradient, left / inputs * weights, rtol=1e-5)


def test_seeds_and_inference() -> None:
    inputs = tf.random.stateless_normal([20, 8], [1, 2])
    seed = tf.constant([1, 5])
    np.testing.assert_array_equal(hashed_dropout(inputs, 0.5, None, "a"), inputs)
    np.testing.assert_array_equal(hashed_dropout(inputs, 0.0, seed, "a"), inputs)
    first = hashed_dropout(inputs, 0.5, seed, "a").numpy()
    np.testing.assert_array_equal(first, hashed_dropout(inputs, 0.5, seed, "a"))
    for other in (hashed_dropout(inputs, 0.5, seed, "b"), hashed_dropout(inputs, 0.5, seed + 1, "a")):
        assert ((other.numpy() == 0) != (first == 0)).mean() == pytest.approx(0.5, abs=0.2)
