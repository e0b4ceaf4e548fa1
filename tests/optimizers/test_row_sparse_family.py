"""All row-sparse optimisers against a slow oracle, L2, gradient cap, serialisation."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.errors import ConfigError
from tfrec.optimizers.build import build_optimizer
from tfrec.training.model_store import run_config

RATE, MOMENTUM, L2, EPS = 0.1, 0.3, 0.05, 1e-6


def directions(name: str):
    """Returns a function of the gradients of one element so far (its own updates only) to the scaled gradient."""

    def adagrad(gradients, steps):
        return gradients[-1] / math.sqrt(sum(g * g for g in gradients) + EPS)

    def rmsprop(gradients, steps):
        mean = 0.0
        for g in gradients:
            mean = 0.9 * mean + 0.1 * g * g
        return gradients[-1] / math.sqrt(mean + EPS)

    def adadelta(gradients, steps):
        mean = updates = direction = 0.0
        for g in gradients:
            mean = 0.95 * mean + 0.05 * g * g
            direction = g * math.sqrt(updates + EPS) / math.sqrt(mean + EPS)
            updates = 0.95 * updates + 0.05 * direction**2
        return direction

    def adam(gradients, steps):
        first = second = 0.0
        for g in gradients:
            first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        return (first / (1 - 0.9**steps)) / (math.sqrt(second / (1 - 0.999**steps)) + EPS)

    return {"adagrad": adagrad, "rmsprop": rmsprop, "adadelta": adadelta, "adam": adam}[name]


def oracle(name: str, table: np.ndarray, steps, momentum: float) -> np.ndarray:
    table, seen, velocity = table.astype(float).copy(), {}, np.zeros(table.shape)
    for number, (rows, values) in enumerate(steps, start=1):
        for row in set(rows):
            for column in range(table.shape[1]):
                gradient = sum(value[column] for other, value in zip(rows, values, strict=True) if other == row)
                seen.setdefault((row, column), []).append(gradient)
                direction = directions(name)(seen[row, column], number)
                velocity[row, column] = momentum * velocity[row, column] - RATE * direction
                table[row, column] = table[row, column] * (1 - RATE * L2) + velocity[row, column]
    return table


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adadelta", "adam"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("momentum", [MOMENTUM, 0.0])
def test_equals_the_oracle(name: str, sparse: bool, momentum: float) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, 2)).astype("f4")
    config = OptimizerConfig(name=name, learning_rate=RATE, momentum=momentum, l2=L2, epsilon=EPS)
    if sparse:
        steps = [
            ([1, 3, 1], rng.normal(size=(3, 2))),
            ([3, 0], rng.normal(size=(2, 2))),
            ([1], rng.normal(size=(1, 2))),
        ]
    else:
        steps = [(list(range(5)), rng.normal(size=(5, 2))) for _ in range(3)]
    variable, optimizer = keras.Variable(table, dtype="float32"), build_optimizer(config)
    optimizer.build([variable])
    for rows, values in steps:
        gradient = tf.constant(values, tf.float32)
        optimizer.apply([tf.IndexedSlices(gradient, tf.constant(rows)) if sparse else gradient], [variable])
    np.testing.assert_allclose(variable.numpy(), oracle(name, table, steps, momentum), atol=2e-5)
    if sparse:
        np.testing.assert_array_equal(variable.numpy()[[2, 4]], table[[2, 4]])


def test_the_gradient_cap_sees_summed_rows() -> None:
    """Row 1 appears twice with gradient (3, 0) each, summed (6, 0); the dense gradient is 8: norm 10, cap 5 halves
    both.

    Without summing, the norm would be sqrt(9 + 9 + 64) = 9.06 and the factor .552. RMSprop with decay 0 and huge
    epsilon divides by sqrt(g^2 + 1e6) = 1000 (to 1e-5), so the step shows the gradient itself.
    """
    table, dense = keras.Variable(np.zeros((3, 2)), dtype="float32"), keras.Variable([0.0])
    config = OptimizerConfig(name="rmsprop", learning_rate=1000.0, averages=[0.0], epsilon=1e6, gradient_cap=5.0)
    optimizer = build_optimizer(config)
    optimizer.build([table, dense])
    slices = tf.IndexedSlices(tf.constant([[3.0, 0.0], [3.0, 0.0]]), tf.constant([1, 1]))
    optimizer.apply([slices, tf.constant([8.0])], [table, dense])
    np.testing.assert_allclose(table.numpy(), [[0, 0], [-3, 0], [0, 0]], rtol=1e-4)
    np.testing.assert_allclose(dense.numpy(), [-4], rtol=1e-4)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adadelta", "adam"])
def test_round_trip_through_the_config(name: str) -> None:
    optimizer = build_optimizer(OptimizerConfig(name=name, learning_rate=0.3, momentum=0.2, l2=0.1, gradient_cap=2.0))
    restored = type(optimizer).from_config(optimizer.get_config())
    assert restored.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    "assignment",
    [
        "optimizer.averages=[0.9]",
        "optimizer={name: adam, averages: [0.9]}",
        "optimizer={name: rmsprop, averages: [1.5]}",
    ],
)
def test_averages_must_fit_the_optimiser(assignment: str) -> None:
    with pytest.raises(ConfigError, match="averages"):
        run_config("gru4rec", assignments=[assignment])


def test_official_names() -> None:
    from tfrec.config.gru4rec_config import parse_official_params

    sections = parse_official_params("adapt=adam,adapt_params=0.8/0.99,lmbd=0.01,grad_cap=3,learning_rate=0.002")
    assert sections["optimizer"] == {
        "name": "adam",
        "averages": [0.8, 0.99],
        "l2": 0.01,
        "gradient_cap": 3.0,
        "learning_rate": 0.002,
    }
    assert parse_official_params("adapt=adadelta,learning_rate=0.1")["optimizer"]["learning_rate"] == 1.0
