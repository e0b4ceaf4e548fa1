"""The GRU cell and stack."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import ConfigError
from tfrec.layers.activations import activation
from tfrec.layers.gru_cell import ResetBeforeGRUCell
from tfrec.layers.gru_stack import GRUStack
from tfrec.layers.initializers import GateInitializer
from tfrec.layers.item_table import ItemTable


def test_one_unit_by_hand() -> None:
    """x Wx = [.3, -.2, .1], b = [.05, .1, -.1], H = .4, Wh = .7, Wr = .6, Wz = -.5 (candidate, reset, update).

    r = sigmoid(-.1 + .24) = .53494295; z = sigmoid(0 - .2) = .45016600; c = tanh(.35 + r * .4 * .7) = .46194729;
    h = (1 - z) .4 + z c = .42788656.
    """
    cell = ResetBeforeGRUCell(1)
    cell.build((None, 1))
    cell.input_kernel.assign([[0.3, -0.2, 0.1]])
    cell.bias.assign([0.05, 0.1, -0.1])
    cell.gate_kernel.assign([[0.6, -0.5]])
    cell.candidate_kernel.assign([[0.7]])
    np.testing.assert_allclose(cell(tf.constant([[1.0]]), tf.constant([[0.4]])), [[0.42788656]], atol=1e-6)


def test_equals_keras_with_the_update_gate_negated() -> None:
    """Keras orders its kernels [update, reset, candidate], and its update gate is one minus ours."""
    rng = np.random.default_rng(0)
    inputs, state = rng.normal(size=(3, 4)).astype("f4"), rng.normal(size=(3, 5)).astype("f4")
    cell = ResetBeforeGRUCell(5, seed=1)
    cell.build((None, 4))
    cell.bias.assign(rng.normal(size=15))
    candidate, reset, update = np.split(cell.input_kernel.numpy(), 3, axis=1)
    bias_candidate, bias_reset, bias_update = np.split(cell.bias.numpy(), 3)
    gate_reset, gate_update = np.split(cell.gate_kernel.numpy(), 2, axis=1)
    reference = keras.layers.GRUCell(5, reset_after=False)
    reference.build((None, 4))
    reference.set_weights(
        [
            np.concatenate([-update, reset, candidate], axis=1),
            np.concatenate([-gate_update, gate_reset, cell.candidate_kernel.numpy()], axis=1),
            np.concatenate([-bias_update, bias_reset, bias_candidate]),
        ]
    )
    expected, _ = reference(inputs, [state])
    np.testing.assert_allclose(cell(inputs, state), expected, atol=1e-6)


def test_scanning_equals_stepping_and_ignores_the_future() -> None:
    rng = np.random.default_rng(0)
    stack = GRUStack([4, 3], dropout=0.5, seed=2)
    stack.build((None, 6))
    inputs = tf.constant(rng.normal(size=(2, 5, 6)), tf.float32)
    scanned = stack(inputs).numpy()
    state = stack.zero_state(2)
    for position in range(5):
        state = stack.step(inputs[:, position], state)
        np.testing.assert_allclose(scanned[:, position], state[-1], atol=1e-6)
    changed = tf.concat([inputs[:, :3], -inputs[:, 3:]], axis=1)
    np.testing.assert_array_equal(stack(changed)[:, :3], scanned[:, :3])
    assert not np.allclose(stack(changed)[:, 3:], scanned[:, 3:])


def test_dropout_keeps_the_share_it_says_and_is_repeatable() -> None:
    """Third-party ports swapped keep and drop probability: with rate 0.2, a fifth of the state must be zero."""
    stack = GRUStack([400], dropout=0.2, seed=2)
    stack.build((None, 3))
    inputs = tf.random.stateless_normal([100, 3], [1, 2])
    seed = tf.constant([7, 8])
    plain = stack.step(inputs, stack.zero_state(100))[0].numpy()
    dropped = stack.step(inputs, stack.zero_state(100), dropout_seed=seed)[0].numpy()
    share = np.mean(dropped == 0.0)
    assert share == pytest.approx(0.2, abs=0.01)  # 40,000 draws: standard deviation 0.002
    np.testing.assert_allclose(dropped[dropped != 0.0], (plain / 0.8)[dropped != 0.0], rtol=1e-5)
    np.testing.assert_array_equal(stack.step(inputs, stack.zero_state(100), dropout_seed=seed)[0], dropped)
    assert not np.array_equal(stack.step(inputs, stack.zero_state(100), dropout_seed=seed + 1)[0], dropped)


def test_initialisation_is_glorot_per_gate() -> None:
    """sqrt(6 / (200 + 100)) = 0.141421 for each [200, 100] block, not sqrt(6 / (200 + 300)) = 0.109545 of the whole."""
    drawn = GateInitializer(100, seed=1)((200, 300)).numpy()
    assert np.abs(drawn).max() == pytest.approx(0.141421, rel=1e-3)
    assert drawn.std() == pytest.approx(0.141421 / np.sqrt(3), rel=0.01)
    blocks = np.split(drawn, 3, axis=1)
    assert not np.array_equal(blocks[0], blocks[1])


def test_initialisation_with_bound_normal_and_reserved_rows() -> None:
    assert np.abs(GateInitializer(4, bound=0.05, seed=1)((50, 4)).numpy()).max() <= 0.05
    normal = GateInitializer(100, bound=0.05, normal=True, seed=1)((300, 100)).numpy()
    assert normal.std() == pytest.approx(0.05, rel=0.02)
    assert np.abs(normal).max() > 0.1
    reserved = GateInitializer(4, reserved_rows=2, seed=1)((50, 4)).numpy()
    np.testing.assert_array_equal(reserved[:2], 0.0)
    assert (reserved[2:] != 0.0).all()


def test_item_table_scores_only_candidates() -> None:
    table = ItemTable(6, 2)
    table.build()
    table.vectors.assign([[0, 0], [0, 0], [1, 0], [0, 1], [1, 1], [2, 3]])
    table.bias.assign([0, 0, 0.5, 0, -1, 0])
    # state (2, 3): item 2 -> 2 + 0.5; item 4 -> 5 - 1; item 5 -> 13
    vectors, bias = table.lookup(tf.constant([2, 4, 5]))
    np.testing.assert_allclose(tf.matmul([[2.0, 3.0]], vectors, transpose_b=True) + bias, [[2.5, 4.0, 13.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [-1.0, 2.0]),
        ("relu", [0.0, 2.0]),
        ("tanh", [np.tanh(-1.0), np.tanh(2.0)]),
        ("leaky-0.1", [-0.1, 2.0]),
        ("elu-0.5", [0.5 * (np.exp(-1) - 1), 2.0]),
        ("selu-2-0.5", [np.exp(-1) - 1, 4.0]),
    ],
)
def test_activations(name: str, expected: list[float]) -> None:
    np.testing.assert_allclose(activation(name)(tf.constant([-1.0, 2.0])), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["elu", "elu-x", "selu-1", "sigmoid-ish"])
def test_unknown_activation_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        activation(name)
