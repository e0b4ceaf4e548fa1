"""Vectors of events: what happened, with which item, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.initializers import GateInitializer
from tfrec.layers.item_table import ItemTable
from tfrec.seeds import derive_seed

TIME_FIELDS = {"weekday": 7, "hour": 24}
SCALARS = ("is_weekend", "days", "days_to_end")


@keras.saving.register_keras_serializable(package="tfrec")
class EventEmbedding(keras.layers.Layer):
    """Joins the vectors of the fields of an event: tables by index, then numbers as they are.

    Row 0 of a table is padding and stays 0, but for weekday and hour, whose 0 is Monday and midnight. Rows are looked
    up by gather, so that a step touches only those it needs.

    Args:
        tables: Rows and width of the table of every field, in the order in which vectors are joined; those of
            `TIME_FIELDS` among them.
        stddev: Standard deviation of the initial vectors.
        seed: Seed of the initial vectors.
    """

    def __init__(
        self, tables: Mapping[str, tuple[int, int]], *, stddev: float = 1.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.sizes = {name: (int(rows), int(width)) for name, (rows, width) in tables.items()}
        self.stddev = stddev
        self.seed = seed
        self.tables = {
            name: ItemTable(
                rows,
                width,
                use_bias=False,
                bound=stddev,
                normal=True,
                seed=derive_seed(seed, name),
                name=f"{self.name}_{name}",
            )
            for name, (rows, width) in self.sizes.items()
            if name not in TIME_FIELDS
        }

    @property
    def width(self) -> int:
        """Width of the vector of an event."""
        return sum(width for _, width in self.sizes.values()) + len(SCALARS)

    def build(self, input_shape: object = None) -> None:
        for table in self.tables.values():
            table.build()
        self.time_tables = {
            name: self.add_weight(
                shape=shape,
                initializer=GateInitializer(1, bound=self.stddev, normal=True, seed=derive_seed(self.seed, name)),
                name=name,
            )
            for name, shape in self.sizes.items()
            if name in TIME_FIELDS
        }
        self.built = True

    def call(self, fields: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the vectors of events.

        Args:
            fields: Every field with a table int32 `[...]`, those of `SCALARS` float32 `[...]`.

        Returns:
            float `[..., width]`: tables in their order, then the numbers.
        """
        parts = []
        for name in self.sizes:
            if name in TIME_FIELDS:
                parts.append(tf.gather(self.time_tables[name].value, fields[name]))
            else:
                known = tf.cast(fields[name] > 0, self.compute_dtype)[..., tf.newaxis]
                parts.append(self.tables[name](fields[name]) * known)
        parts += [tf.cast(fields[name], self.compute_dtype)[..., tf.newaxis] for name in SCALARS]
        return tf.concat(parts, axis=-1)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "tables": self.sizes, "stddev": self.stddev, "seed": self.seed}
