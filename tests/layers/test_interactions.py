"""Interaction layers against numpy, hand arithmetic and their own rules."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.oracles import interactions as oracle
from tfrec.layers.cross_layers import CrossV2
from tfrec.layers.dense_stack import DenseStack
from tfrec.layers.dice import Dice
from tfrec.layers.interaction_stack import InteractionStack
from tfrec.layers.interactions import build_interaction
from tfrec.layers.layer_norm import FastLayerNorm
from tfrec.layers.sequence_pooling import SequencePooling

FIELDS, DIM, LAYERS, TOKENS = 3, 4, 2, 5


def stack(kind: str) -> tuple[InteractionStack, dict[str, np.ndarray]]:
    layer = build_interaction(kind, FIELDS, DIM, LAYERS, dropout=0.2, seed=3, name=kind)  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.5)
    return layer, {name: np.asarray(weight) for name, weight in layer._named.items()}


@pytest.mark.parametrize("kind", ["cross_v1", "cross_v2", "cross_mix", "autoint", "destine"])
def test_same_as_numpy(kind: str) -> None:
    layer, weights = stack(kind)
    inputs = np.random.default_rng(2).normal(size=(TOKENS, FIELDS * DIM)).astype(np.float32)
    extra = (DIM,) if kind in ("autoint", "destine") else ()
    expected = [getattr(oracle, kind)(row.astype(float), weights, LAYERS, *extra) for row in inputs]
    np.testing.assert_allclose(layer(tf.constant(inputs)), expected, rtol=1e-4, atol=1e-5)


def test_cross_v2_by_hand() -> None:
    layer = CrossV2(2, 1, 2)
    layer.build()
    for number in range(2):
        layer._named[f"kernel_{number}"].assign(np.array([[0.1, 0.2], [0.3, 0.4]]).T)
        layer._named[f"bias_{number}"].assign([0.01, 0.02])
    # x1 = (1 + 1 (.1 + .4 + .01), 2 + 2 (.3 + .8 + .02)) = (1.51, 4.24), then the same with x1.
    np.testing.assert_allclose(layer(tf.constant([[1.0, 2.0]])), [[2.519, 8.578]], rtol=1e-6)


def test_final_by_hand() -> None:
    layer = build_interaction("final", 1, 2, 1, dropout=0.0, seed=0, name="final")
    layer.dense[0].kernel.assign([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, -1.0]])  # type: ignore[attr-defined]
    # a = x, b = (2 x1, -x2): a + a b = (3 + 18, 2 - 4), then the batch norm of a new layer, and ReLU.
    np.testing.assert_allclose(layer(tf.constant([[3.0, 2.0]])), [[21.0 / np.sqrt(1.001), 0.0]], rtol=1e-6)


def blocks(kernel: np.ndarray) -> np.ndarray:
    """Norms of the blocks of a matrix of outputs by inputs."""
    size = [slice(field * DIM, (field + 1) * DIM) for field in range(FIELDS)]
    return np.array([[np.sqrt((kernel[row, column] ** 2).sum()) for column in size] for row in size])


@pytest.mark.parametrize("kind", ["cross_v2", "cross_mix"])
def test_weights_of_fields_are_blocks_of_the_derivative_of_the_factor(kind: str) -> None:
    layer, weights = stack(kind)
    inputs = np.random.default_rng(2).normal(size=(TOKENS, FIELDS * DIM)).astype(np.float32)

    def factor(x: np.ndarray, gate: np.ndarray) -> np.ndarray:
        if kind == "cross_v2":
            return np.asarray(weights["kernel_0"].astype(float).T @ x)
        parts = zip(gate, weights["down_0"].astype(float), weights["core_0"], weights["up_0"], strict=True)
        return np.asarray(sum(g * (np.tanh(np.tanh(x @ down) @ core) @ up) for g, down, core, up in parts))

    total = np.zeros((FIELDS * DIM, FIELDS * DIM))
    for row in inputs.astype(float):
        gate = oracle.softmax(row @ weights["gate"]) if kind == "cross_mix" else np.ones(1)
        steps = np.eye(FIELDS * DIM) * 1e-5
        total += np.stack([(factor(row + step, gate) - factor(row - step, gate)) / 2e-5 for step in steps], axis=1)
    np.testing.assert_allclose(layer.field_weights(tf.constant(inputs)), blocks(total / TOKENS), rtol=1e-4)


def test_weights_of_fields_of_cross_v1_by_hand() -> None:
    layer = build_interaction("cross_v1", 2, 2, 1, dropout=0.0, seed=0, name="cross_v1")
    layer._named["weight_0"].assign([[1.0], [2.0], [0.5], [-1.0]])
    # Norms of the features are 5 and 2, then 0 and 1; the weighted ones |3 + 8| and |0 - 2|, then 0 and |0.5|.
    inputs = tf.constant([[3.0, 4.0, 0.0, 2.0], [0.0, 0.0, 1.0, 0.0]])
    np.testing.assert_allclose(layer.field_weights(inputs), [[27.5, 5.0], [11.0, 2.25]], rtol=1e-6)


@pytest.mark.parametrize("kind", ["autoint", "destine"])
def test_weights_of_fields_are_attention_in_the_last_layer(kind: str) -> None:
    layer, weights = stack(kind)
    inputs = np.random.default_rng(2).normal(size=(TOKENS, FIELDS * DIM)).astype(np.float32)
    expected = np.zeros((FIELDS, FIELDS))
    for row in inputs.astype(float):
        x = getattr(oracle, kind)(row, weights, 1, DIM).reshape(FIELDS, DIM)  # what the last layer reads
        query, key = x @ weights["query_1"], x @ weights["key_1"]
        if kind == "autoint":
            expected += oracle.softmax(query @ key.T / 2.0)
        else:
            expected += oracle.softmax((query - query.mean(0)) @ (key - key.mean(0)).T / 2.0)
            expected += oracle.softmax(x @ weights["unary_1"], axis=0).T
    np.testing.assert_allclose(layer.field_weights(tf.constant(inputs)), expected / TOKENS, rtol=1e-4)


def test_weights_of_fields_of_final_are_its_products_of_two_inputs() -> None:
    layer, _ = stack("final")
    norm = layer.norms[0]  # type: ignore[attr-defined]
    norm.moving_variance.assign(np.linspace(0.5, 3.0, FIELDS * DIM))
    plain, factor = np.split(np.asarray(layer.dense[0].kernel, float), 2, axis=1)  # type: ignore[attr-defined]
    scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + 1e-3)
    squares = np.zeros((FIELDS, FIELDS))
    for output in range(FIELDS * DIM):
        form = np.outer(plain[:, output], factor[:, output]) * scale[output]
        squares += blocks((form + form.T) / 2.0) ** 2
    inputs = tf.zeros([TOKENS, FIELDS * DIM])
    np.testing.assert_allclose(layer.field_weights(inputs), np.sqrt(squares), rtol=1e-4)


@pytest.mark.parametrize("kind", ["autoint", "destine", "final"])
def test_dropout_only_in_training(kind: str) -> None:
    layer, _ = stack(kind)
    inputs = tf.random.stateless_normal([TOKENS, FIELDS * DIM], [1, 2])
    np.testing.assert_array_equal(layer(inputs), layer(inputs))
    assert np.abs(layer(inputs, dropout_seed=tf.constant([1, 2])) - layer(inputs)).max() > 1e-3


def test_layer_norm_and_its_gradient() -> None:
    layer = FastLayerNorm()
    layer.build((None, 6))
    rng = np.random.default_rng(0)
    layer.gamma.assign(rng.normal(size=6))
    layer.beta.assign(rng.normal(size=6))
    x = tf.constant(rng.normal(size=(4, 6)).astype(np.float32))
    weights = rng.normal(size=(4, 6)).astype(np.float32)
    wanted = [layer.gamma.value, layer.beta.value]

    def composed(inputs: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(inputs, [1], keepdims=True)
        return (inputs - mean) / tf.sqrt(variance + 1e-5) * wanted[0] + wanted[1]

    gradients = []
    for function in (layer, composed):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(function(x) * weights)
        gradients.append([total, *tape.gradient(total, [x, *wanted])])
    for found, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


TOKEN_ROWS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], np.float32)  # rows of 3 and 1 tokens


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mean", [[3.0, 4.0], [7.0, 8.0]]),
        ("sum", [[9.0, 12.0], [7.0, 8.0]]),
        ("target", [[5.0, 6.0], [7.0, 8.0]]),
        ("concat", [[0, 0, 1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0, 7, 8]]),
    ],
)
def test_poolings_by_hand(kind: str, expected: list[list[float]]) -> None:
    layer = SequencePooling(kind, 2, max_tokens=4)  # type: ignore[arg-type]
    layer.build()
    pooled = layer(tf.constant(TOKEN_ROWS), tf.constant([3, 1]), tf.constant([0, 0, 0, 1]))
    assert pooled.numpy().tolist() == expected
    assert layer.output_dim == len(expected[0])


@pytest.mark.parametrize("relevance", ["bilinear", "dot", "din"])
def test_weights_of_a_row_sum_to_one(relevance: str) -> None:
    layer = SequencePooling("weighted_sum", 2, item_dim=3, hidden=4, relevance=relevance, seed=1)  # type: ignore[arg-type]
    layer.build()
    item = tf.constant([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]])
    row = tf.constant([0, 0, 0, 1])
    weights, value = (np.asarray(part) for part in layer.weights_of(tf.constant(TOKEN_ROWS), row, item, tf.constant(2)))
    np.testing.assert_allclose(np.add.reduceat(weights, [0, 3]), [1.0, 1.0], rtol=1e-6)
    query = np.asarray(layer.projections["query"](item))
    query = np.where(query > 0, query, 0.1 * query)
    key = np.asarray(layer.projections["key"](TOKEN_ROWS))
    key = np.where(key > 0, key, 0.1 * key)
    if relevance != "din":  # the bilinear form begins as the identity
        scores = key[:3] @ query[0] / 2.0
        np.testing.assert_allclose(weights[:3], np.exp(scores) / np.exp(scores).sum(), rtol=1e-5)
    pooled = layer(tf.constant(TOKEN_ROWS), tf.constant([3, 1]), row, item=item)
    total = np.asarray(layer.projections["output"](np.stack([weights[:3] @ value[:3], value[3]])))
    np.testing.assert_allclose(pooled, np.where(total > 0, total, 0.1 * total), rtol=1e-5)


def test_dice_is_relu_smoothed_by_the_batch() -> None:
    layer = Dice()
    layer.build((None, 1))
    x = np.array([[-1.0], [1.0], [3.0]], np.float32)
    normalised = (x - 1.0) / np.sqrt(8.0 / 3.0)
    np.testing.assert_allclose(layer(tf.constant(x), training=True), x / (1.0 + np.exp(-normalised)), rtol=1e-5)


def test_hidden_layers_use_the_statistics_of_training_at_inference() -> None:
    layer = DenseStack(3, [4], batch_norm=True, dropout=0.5, activation="leaky_relu", seed=1)
    layer.build()
    x = tf.constant(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    hidden = np.asarray(layer.dense[0](x)) / np.sqrt(1.001)
    expected = np.where(hidden > 0, hidden, 0.01 * hidden) @ np.asarray(layer.dense[1].kernel)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-6)
    assert np.abs(layer(x, dropout_seed=tf.constant([0, 1])) - expected).max() > 1e-2
