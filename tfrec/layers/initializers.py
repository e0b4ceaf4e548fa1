"""Weight initialisation of GRU4Rec: Glorot per gate matrix, not over the packed kernel."""

from __future__ import annotations

import math

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class GateInitializer(keras.initializers.Initializer):
    """Initialises `[rows, gates * units]` as if each `[rows, units]` block were a matrix of its own.

    Args:
        units: Width of one block.
        fan_in: Fan-in; default is the number of rows.
        reserved_rows: Leading rows set to zero (padding and out-of-vocabulary rows of an item table).
        bound: Overrides the Glorot bound `sqrt(6 / (fan_in + units))` when positive.
        normal: Draw from N(0, bound) instead of U(-bound, bound).
        seed: Seed.

    Reference: GRU4Rec parameters `sigma` and `init_as_normal`.
    """

    def __init__(
        self,
        units: int,
        *,
        fan_in: int = 0,
        reserved_rows: int = 0,
        bound: float = 0.0,
        normal: bool = False,
        seed: int = 0,
    ) -> None:
        self.units = units
        self.fan_in = fan_in
        self.reserved_rows = reserved_rows
        self.bound = bound
        self.normal = normal
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
        rows = shape[0] - self.reserved_rows
        bound = self.bound or math.sqrt(6.0 / ((self.fan_in or rows) + self.units))
        size = (rows, *shape[1:])
        seed = tf.constant([self.seed, rows], tf.int64)
        if self.normal:
            drawn = tf.random.stateless_normal(size, seed, stddev=bound)
        else:
            drawn = tf.random.stateless_uniform(size, seed, minval=-bound, maxval=bound)
        drawn = tf.pad(drawn, [[self.reserved_rows, 0]] + [[0, 0]] * (len(shape) - 1))
        return tf.cast(drawn, dtype or "float32")

    def get_config(self) -> dict[str, object]:
        return {
            "units": self.units,
            "fan_in": self.fan_in,
            "reserved_rows": self.reserved_rows,
            "bound": self.bound,
            "normal": self.normal,
            "seed": self.seed,
        }
