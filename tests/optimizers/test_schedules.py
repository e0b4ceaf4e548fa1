from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.gru_encoder_config import GRUEncoderConfig
from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.config.two_tower_config import TwoTowerConfig
from tfrec.models.gru_encoder import GRUEncoder
from tfrec.models.sasrec import SASRec
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.models.two_tower import TwoTower
from tfrec.optimizers.build import build_sequence_optimizer
from tfrec.optimizers.schedules import WarmUpDecay


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # Warm-up over 2 of 6 steps: 1/2, 2/2. Then p = 1/4, 2/4, 3/4, 1, and 1 for steps beyond the last.
        ("constant", [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]),
        ("linear", [1.0, 2.0, 1.5, 1.0, 0.5, 0.0, 0.0]),
        ("cosine", [1.0, 2.0, *(1.0 + math.cos(math.pi * p) for p in (0.25, 0.5, 0.75, 1.0, 1.0))]),
    ],
)
def test_course_of_the_step_size(kind: str, expected: list[float]) -> None:
    schedule = WarmUpDecay(2.0, kind, warmup_steps=2, total_steps=6)
    np.testing.assert_allclose([schedule(tf.constant(step)) for step in range(7)], expected, atol=1e-6)


def test_weight_decay_shrinks_kernels_and_nothing_else() -> None:
    layer = keras.layers.Dense(2, kernel_initializer="ones", bias_initializer="ones")
    layer.build((None, 3))
    table = keras.Variable(np.ones((4, 2), np.float32), name="vectors")
    variables = [layer.kernel, layer.bias, table]
    config = SequenceOptimizerConfig(learning_rate=0.1, weight_decay=0.5)
    optimizer = build_sequence_optimizer(config, variables, total_steps=1)
    sparse = tf.IndexedSlices(tf.zeros([1, 2]), tf.constant([1]))
    optimizer.apply([tf.zeros([3, 2]), tf.zeros([2]), sparse], variables)
    np.testing.assert_allclose(layer.kernel, 1 - 0.1 * 0.5, rtol=1e-6)  # zero gradients move nothing else
    np.testing.assert_allclose(layer.bias, 1.0)
    np.testing.assert_allclose(table, 1.0)


@pytest.mark.parametrize(
    ("model", "kernels"),
    [
        # Kernels by hand: query, key, value, output and two of the feed-forward; 3 of each GRU; two dense layers.
        (SASRec(SASRecConfig(dim=8, heads=2, blocks=1, item_bias=True), 15), 6),
        (GRUEncoder(GRUEncoderConfig(dim=8, layers=2, item_bias=True), 15), 6),
        (TwoTower(TwoTowerConfig(dim=8, hidden=[4], user_vectors=True), 15, num_users=3), 2),
    ],
    ids=["sasrec", "gru_encoder", "two_tower"],
)
def test_weight_decay_acts_on_every_kernel_of_an_encoder(model: SequenceEncoder, kernels: int) -> None:
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    config = SequenceOptimizerConfig(learning_rate=0.1, weight_decay=0.5)
    optimizer = build_sequence_optimizer(config, variables, total_steps=1)
    optimizer.apply([tf.zeros(variable.shape) for variable in variables], variables)
    decayed = [variable for variable in variables if not np.array_equal(variable, np.ones(variable.shape))]
    assert len(decayed) == kernels
    for variable in decayed:
        assert len(variable.shape) == 2
        np.testing.assert_allclose(variable, 1 - 0.1 * 0.5, rtol=1e-6)
    tables = {"vectors", "positions", "bias", "gamma", "beta"}
    assert not tables & {variable.name for variable in decayed}


@pytest.mark.parametrize("warmup", [{"warmup_steps": 1}, {"warmup_share": 0.34}], ids=str)
def test_the_schedule_drives_the_optimizer(warmup: dict[str, float]) -> None:
    variable = keras.Variable(np.zeros(1, np.float32), name="kernel")
    config = SequenceOptimizerConfig(learning_rate=0.1, schedule="linear", **warmup)
    optimizer = build_sequence_optimizer(config, [variable], total_steps=3)
    positions = []
    for _ in range(3):
        optimizer.apply([tf.ones([1])], [variable])
        positions.append(float(variable.numpy()[0]))
    # Adam's direction for a constant gradient is 1: steps 0.1, 0.1 / 2, 0.
    # 1 - 0.999 has five digits in float32.
    np.testing.assert_allclose(positions, [-0.1, -0.15, -0.15], rtol=1e-4)


def test_only_rows_that_were_looked_up_shrink() -> None:
    """Rows 1 and 3 of a table lose a twentieth, which is 0.1 * 0.5; kernels and other rows do not."""
    table, kernel = (keras.Variable(np.ones((4, 2), np.float32), name=name) for name in ("vectors", "kernel"))
    config = SequenceOptimizerConfig(learning_rate=0.1, embedding_l2=0.5)
    optimizer = build_sequence_optimizer(config, [table, kernel], total_steps=1)
    rows = tf.IndexedSlices(tf.zeros([3, 2]), tf.constant([3, 1, 3]))
    optimizer.apply([rows, tf.zeros([4, 2])], [table, kernel])
    np.testing.assert_allclose(table, [[1, 1], [0.95, 0.95], [1, 1], [0.95, 0.95]], rtol=1e-6)
    np.testing.assert_array_equal(kernel, np.ones((4, 2)))
