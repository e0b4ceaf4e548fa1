"""Tables that a model reads and never trains: what the data say of items and users."""

from __future__ import annotations

from typing import Any

import keras

_MARK = "tfrec_given"


def add_given_table(layer: keras.layers.Layer, name: str, shape: tuple[int, ...], dtype: str = "float32") -> Any:
    """Adds a table of zeros that is filled from the data and stays as it is in training.

    Checkpoints leave it out: with ready-made vectors of a large catalogue it is most of a model.

    Args:
        layer: What reads it.
        name: Name of the weight.
        shape: Rows first.
        dtype: Type of its values, kept under any precision policy.
    """
    table = layer.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, autocast=False, name=name)
    setattr(table, _MARK, True)
    return table


def given_weights(model: keras.Model) -> list[keras.Variable]:
    """Returns the tables of `add_given_table`."""
    return [weight for weight in model.weights if getattr(weight, _MARK, False)]


def learned_weights(model: keras.Model) -> list[keras.Variable]:
    """Returns all other weights, trainable or not: what a checkpoint of the training holds."""
    return [weight for weight in model.weights if not getattr(weight, _MARK, False)]
