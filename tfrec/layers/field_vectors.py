"""Vectors of the features of a row: one per id, and one per number that is multiplied by it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfrec.layers.item_table import ItemTable
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class FieldVectors(keras.layers.Layer):
    """Tables of vectors by vocabulary, which features may share, and a vector per number.

    Args:
        dim: Width of a vector.
        tables: Size of every vocabulary.
        ids: Vocabulary of every feature of ids, single or in lists.
        numbers: Numbers; a list of numbers that shares the vector of one maps to its name, a number to its own.
        stddev: Standard deviation of the initial vectors of ids; padding and out of vocabulary begin at 0.
        seed: Seed of initial weights.
    """

    def __init__(
        self,
        dim: int,
        tables: Mapping[str, int],
        ids: Mapping[str, str],
        numbers: Mapping[str, str],
        *,
        stddev: float = 1e-4,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.dim, self.stddev, self.seed = dim, stddev, seed
        self.vocabularies, self.ids, self.numbers = dict(tables), dict(ids), dict(numbers)
        self.tables = {
            name: ItemTable(
                size, dim, use_bias=False, bound=stddev, normal=True, seed=derive_seed(seed, f"table {name}"), name=name
            )
            for name, size in tables.items()
        }
        self.number_names = [name for name, shared in numbers.items() if name == shared]

    def build(self, input_shape: object = None) -> None:
        for table in self.tables.values():
            table.build()
        if self.number_names:
            deviation = (2.0 / (1.0 + self.dim)) ** 0.5
            self.directions = self.add_weight(
                shape=(len(self.number_names), self.dim),
                initializer=keras.initializers.RandomNormal(0.0, deviation, derive_seed(self.seed, "numbers")),
                name="directions",
            )
        self.built = True

    def side_by_side(self, batch: Mapping[str, tf.Tensor], names: Sequence[str]) -> tf.Tensor:
        """Vectors of single features in the order of `names`, float `[batch, len(names) * dim]`."""
        parts = []
        for is_number, group in itertools.groupby(names, lambda name: name in self.numbers):
            members = list(group)
            if is_number:
                values = tf.stack([batch[name] for name in members], axis=1)[:, :, tf.newaxis]  # [batch, numbers, 1]
                scaled = values * tf.gather(self.directions.value, [self._place(name) for name in members])
                parts.append(tf.reshape(scaled, [-1, len(members) * self.dim]))
            else:
                parts += [self.tables[self.ids[name]](batch[name]) for name in members]
        return tf.concat(parts, axis=1)

    def of_values(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """Vectors of values of one feature: int or float `[...]` -> float `[..., dim]`."""
        if name in self.numbers:
            return values[..., tf.newaxis] * tf.convert_to_tensor(self.directions.value)[self._place(name)]
        return self.tables[self.ids[name]](values)

    def _place(self, name: str) -> int:
        return self.number_names.index(self.numbers[name])

    def get_config(self) -> dict[str, object]:
        return {
            **super().get_config(),
            "dim": self.dim,
            "tables": self.vocabularies,
            "ids": self.ids,
            "numbers": self.numbers,
            "stddev": self.stddev,
            "seed": self.seed,
        }
