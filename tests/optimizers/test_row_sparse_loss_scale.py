"""Loss scaling for float16: overflow skips a step, and no table is read as a whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.optimizers.build import build_sequence_optimizer
from tfrec.optimizers.row_sparse_loss_scale import RowSparseLossScale

SCALE = 2.0**15


def scaled_adagrad(variables: list[keras.Variable]) -> RowSparseLossScale:
    config = SequenceOptimizerConfig(name="adagrad", learning_rate=0.1)
    optimizer = build_sequence_optimizer(config, variables, total_steps=9, precision="mixed_float16")
    assert isinstance(optimizer, RowSparseLossScale)
    return optimizer


def step(optimizer: RowSparseLossScale, variables: list[keras.Variable], values: tf.Tensor, dense: tf.Tensor) -> None:
    @tf.function
    def apply(values: tf.Tensor, dense: tf.Tensor) -> None:
        # Without a shape, slices cannot be made dense: whoever tries fails.
        optimizer.apply([tf.IndexedSlices(values, tf.constant([1, 3, 1])), dense], variables)

    apply(values, dense)


@pytest.fixture
def variables() -> list[keras.Variable]:
    table = keras.Variable(np.ones((5, 2)), dtype="float32", name="vectors")
    return [table, keras.Variable(np.ones(2), dtype="float32", name="bias")]


def test_a_finite_step_is_that_of_the_optimiser_without_scale(variables: list[keras.Variable]) -> None:
    table, bias = variables
    optimizer = scaled_adagrad(variables)
    step(optimizer, variables, SCALE * tf.ones([3, 2]), SCALE * tf.constant([2.0, -2.0]))
    # Adagrad's first step is learning_rate * sign(g) for any g, up to epsilon 1e-6.
    np.testing.assert_allclose(table, [[1, 1], [0.9, 0.9], [1, 1], [0.9, 0.9], [1, 1]], rtol=1e-5)
    np.testing.assert_allclose(bias, [0.9, 1.1], rtol=1e-5)
    # Row 1 was looked up twice: (1 + 1)^2; row 3 once.
    np.testing.assert_allclose(optimizer.inner_optimizer.slots["accumulator"][0][1], [4, 4], rtol=1e-5)
    np.testing.assert_allclose(optimizer.inner_optimizer.slots["accumulator"][0][3], [1, 1], rtol=1e-5)
    assert float(optimizer.dynamic_scale) == SCALE
    assert int(optimizer.iterations) == 1


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("sparse", [True, False])
def test_an_overflow_skips_the_step_and_halves_the_scale(
    bad: float, sparse: bool, variables: list[keras.Variable]
) -> None:
    optimizer = scaled_adagrad(variables)
    values, dense = np.ones((3, 2), np.float32), np.ones(2, np.float32)
    (values[1:2] if sparse else dense)[..., 0] = bad
    step(optimizer, variables, tf.constant(values), tf.constant(dense))
    for variable in variables:
        np.testing.assert_array_equal(variable, np.ones(variable.shape))
    assert float(optimizer.dynamic_scale) == SCALE / 2
    assert int(optimizer.iterations) == 0


def test_its_state_is_complete_before_the_first_step(variables: list[keras.Variable]) -> None:
    """A resumed run restores into it; Keras' own wrapper would make its variables in the first step."""
    optimizer = scaled_adagrad(variables)
    before = [variable.path for variable in optimizer.variables]
    step(optimizer, variables, tf.ones([3, 2]), tf.ones(2))
    assert [variable.path for variable in optimizer.variables] == before
    assert sum("dynamic_scale" in path for path in before) == 1


def test_round_trip_through_the_config(variables: list[keras.Variable]) -> None:
    optimizer = scaled_adagrad(variables)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert isinstance(restored, RowSparseLossScale)
    assert restored.get_config() == optimizer.get_config()
