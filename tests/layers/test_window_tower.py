"""Rotary attention and towers over windows: shift, padding, order, unit length, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers.expert_block import ExpertBlock
from tfrec.layers.mixture_of_experts import MixtureOfExperts
from tfrec.layers.rotary import rotate
from tfrec.layers.rotary_attention import RotaryAttention
from tfrec.layers.window_tower import WindowTower

EVENTS = tf.constant(np.random.default_rng(1).normal(size=(3, 5, 6)), tf.float32)
REAL = tf.constant([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])


def tower(**settings: Any) -> WindowTower:
    blocks = [
        ExpertBlock(
            RotaryAttention(6, 2, 4, seed=number, dropout=0.5, name=f"attention_{number}"),
            MixtureOfExperts(6, 3, 2, hidden=5, seed=number, balance="none"),
        )
        for number in range(2)
    ]
    made = WindowTower(blocks, width=6, dim=4, **settings)
    made.build()
    return made


def test_rotation_by_hand() -> None:
    """Position 2, width 4: the first pair turns by 2, the second by 2 / 100."""
    found = rotate(tf.constant([[1.0, 0.0, 0.0, 2.0]]), tf.constant([2]))
    expected = [[np.cos(2), -2 * np.sin(0.02), np.sin(2), 2 * np.cos(0.02)]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_products_depend_on_the_distance_alone() -> None:
    query, key = tf.constant(np.random.default_rng(2).normal(size=(2, 7, 8)), tf.float32)
    places = tf.range(7)
    near = tf.matmul(rotate(query, places), rotate(key, places), transpose_b=True)
    far = tf.matmul(rotate(query, places + 40), rotate(key, places + 40), transpose_b=True)
    np.testing.assert_allclose(near, far, atol=1e-4)
    assert np.abs(near - tf.matmul(query, key, transpose_b=True)).max() > 0.1


@pytest.mark.parametrize("readout", ["cls", "mean"])
def test_masked_padding_does_not_matter(readout: str) -> None:
    made = tower(readout=readout)
    found, _ = made(EVENTS, REAL)
    garbage = tf.where(REAL[:, :, tf.newaxis], EVENTS, 1e3)
    wider = tf.pad(garbage, [[0, 0], [0, 4], [0, 0]], constant_values=-7.0)
    np.testing.assert_allclose(made(wider, tf.pad(REAL, [[0, 0], [0, 4]]))[0], found, atol=1e-5)
    alone, _ = made(EVENTS[1:2, :3])  # the same without any padding
    np.testing.assert_allclose(alone[0], found[1], atol=1e-5)
    assert np.abs(made(garbage)[0] - found)[1:].max() > 1e-2  # unmasked, padding is an event


def test_order_matters_and_length_is_one() -> None:
    made = tower()
    found, _ = made(EVENTS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert np.abs(made(EVENTS[:, ::-1])[0] - found).max() > 1e-3


def test_every_weight_has_a_gradient() -> None:
    made = tower()
    with tf.GradientTape() as tape:
        found, _ = made(EVENTS, REAL, training=True, dropout_seed=tf.constant([1, 2]))
        loss = tf.reduce_sum(found * tf.constant(np.random.default_rng(5).normal(size=(3, 4)), tf.float32))
    for weight, gradient in zip(
        made.trainable_weights,
        tape.gradient(loss, [weight.value for weight in made.trainable_weights]),
        strict=True,
    ):
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > 0, weight.path


def test_dropout_follows_its_seed() -> None:
    made = tower()
    first, again, other = (made(EVENTS, training=True, dropout_seed=tf.constant([1, step]))[0] for step in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    np.testing.assert_array_equal(made(EVENTS)[0], made(EVENTS)[0])
