"""A dense layer over all positions at once: its products, shapes and gradients."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfrec.layers.flat_dense import FlatDense

RNG = np.random.default_rng(3)
INPUTS = RNG.normal(size=(4, 5, 3)).astype(np.float32)
KERNEL, BIAS = RNG.normal(size=(3, 2)).astype(np.float32), np.array([0.5, -1.0], np.float32)


def test_every_position_is_multiplied_and_activated() -> None:
    layer = FlatDense(2, activation="relu")
    layer.build((None, None, 3))
    layer.set_weights([KERNEL, BIAS])
    expected = np.maximum(np.einsum("bsw,wu->bsu", INPUTS, KERNEL) + BIAS, 0)
    np.testing.assert_allclose(layer(INPUTS), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(INPUTS[:, 0]), expected[:, 0], rtol=1e-5, atol=1e-6)


def test_the_gradient_of_the_kernel_is_summed_over_positions() -> None:
    layer = FlatDense(2, use_bias=False)
    layer.build((None, None, 3))
    towards = RNG.normal(size=(4, 5, 2)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INPUTS) * towards)
    gradient = tape.gradient(loss, layer.kernel.value)
    np.testing.assert_allclose(gradient, np.einsum("bsw,bsu->wu", INPUTS, towards), rtol=1e-5, atol=1e-5)


def test_lengths_may_be_unknown_and_the_width_stays_known() -> None:
    layer = FlatDense(2)
    traced = tf.function(layer, input_signature=[tf.TensorSpec([None, None, 3])]).get_concrete_function()
    assert traced.structured_outputs.shape.as_list() == [None, None, 2]


def test_it_is_saved_as_itself() -> None:
    layer = FlatDense(2, activation="silu", name="projection")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(again, FlatDense)
    assert again.get_config() == layer.get_config()
