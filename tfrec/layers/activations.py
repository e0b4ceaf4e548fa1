"""Activations of hidden states and scores, named as GRU4Rec names them (`elu-0.5`, `selu-1.05-1.67`, ...)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.errors import ConfigError, did_you_mean

Activation = Callable[[tf.Tensor], tf.Tensor]

_PLAIN: dict[str, Activation] = {
    "linear": lambda x: x,
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
}
_PARAMETRIC = {"leaky": 1, "elu": 1, "selu": 2}


def activation(name: str) -> Activation:
    """Returns the activation called `name`.

    Args:
        name: `linear`, `relu`, `tanh`, `leaky-A` (x if x >= 0 else A x), `elu-A` (x if x >= 0 else A (e^x - 1)) or
            `selu-S-A` (S times elu-A).

    Returns:
        A function from a tensor to a tensor of the same shape.

    Raises:
        ConfigError: The name is unknown or has the wrong number of parameters.

    Reference: GRU4Rec, parameters `final_act` and `hidden_act`.
    Differences: the slope at exactly 0 is the one from the left (`A`) in `leaky`, `elu` and `selu`.
    """
    if name in _PLAIN:
        return _PLAIN[name]
    kind, *texts = name.split("-")
    if kind not in _PARAMETRIC:
        raise ConfigError(
            f"Unknown activation `{name}`.", remedy=did_you_mean(name, [*_PLAIN, "leaky-A", "elu-A", "selu-S-A"])
        )
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        numbers = []
    if len(numbers) != _PARAMETRIC[kind]:
        raise ConfigError(
            f"The activation `{name}` needs {_PARAMETRIC[kind]} number(s).",
            remedy="Write for example `leaky-0.1`, `elu-0.5` or `selu-1.0507-1.6733`.",
        )
    if kind == "leaky":
        slope = numbers[0]
        return lambda x: tf.nn.leaky_relu(x, slope)
    # elu-A is elu-1 with what is below 0 times A: two kernels with fused gradients, no masks.
    if kind == "elu":
        return lambda x: tf.nn.leaky_relu(tf.nn.elu(x), numbers[0])
    return lambda x: numbers[0] * tf.nn.leaky_relu(tf.nn.elu(x), numbers[1])
