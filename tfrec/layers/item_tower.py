"""Tower of items, or of users: a vector of each one's own plus a vector made of its side features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.layers.given_tables import add_given_table
from tfrec.layers.initializers import GateInitializer
from tfrec.layers.item_table import ItemTable
from tfrec.layers.near_unit_rows import near_unit_rows
from tfrec.layers.seeded_dropout import kept_whole
from tfrec.seeds import derive_seed

_ROWS_AT_ONCE = 1 << 15
_FIRST_VALUE = 2
"""Value 0 is missing, 1 one that no training item has: neither has a vector."""


class FeatureShape(TypedDict):
    """What a tower must know of a feature before it sees the data.

    Its kind, its number of value indices, and its width: of the longest list, or of a ready-made vector.
    """

    kind: Literal["category", "list", "number", "vector"]
    values: int
    width: int


class ItemTower(keras.layers.Layer):
    """Maps indices of items, or of users, to vectors; side features lie in untrained tables and are read by gather.

    Vectors of categories and lists (the mean over the list), numbers, and ready-made vectors (scaled to length 1 and
    projected) are joined and go through dense layers. The result is added to the item's own vector. An item without
    training events has no vector of its own: it is what its features say. A step costs as much as the distinct items
    that are looked up, whatever the size of the catalogue.

    Args:
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        dim: Width of an item vector.
        features: Shape of every feature; empty for none.
        feature_dim: Width of the vector of a feature value.
        hidden: Hidden layers between features and item vector.
        use_ids: Whether items have vectors of their own.
        id_dropout: Share of looked-up items whose own vector is left out in training; 0 without features.
        init_stddev: Standard deviation of initial vectors.
        seed: Seed of the initialisation.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        *,
        features: Mapping[str, FeatureShape],
        feature_dim: int = 16,
        hidden: Sequence[int] = (),
        use_ids: bool = True,
        id_dropout: float = 0.0,
        init_stddev: float = 0.05,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.dim = dim
        self.features = {name: features[name] for name in sorted(features)}
        self.id_dropout = id_dropout if features else 0.0
        self._initial: dict[str, Any] = {"bound": init_stddev, "normal": True}
        self.ids: ItemTable | None = None
        if use_ids:
            self.ids = ItemTable(
                vocab_size,
                dim,
                use_bias=False,
                seed=derive_seed(seed, "ids"),
                name="ids",
                dtype=self.dtype_policy,
                **self._initial,
            )
            self.ids.build()
        self.trained = add_given_table(self, "trained", (vocab_size,))  # [vocab]: 1 for items with training events
        self.tables: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        for name, shape in self.features.items():
            size = (vocab_size, shape["width"]) if shape["kind"] in ("list", "vector") else (vocab_size,)
            dtype = {"number": "float32", "vector": "float16"}.get(shape["kind"], "int32")
            self.tables[name] = add_given_table(self, f"{name}_of_item", size, dtype)
            if shape["kind"] in ("category", "list"):
                self.values[name] = self._value_vectors(name, shape["values"], feature_dim, seed)
        self.projections: dict[str, keras.layers.Dense] = {}
        for name in (name for name, shape in self.features.items() if shape["kind"] == "vector"):
            self.projections[name] = keras.layers.Dense(
                feature_dim,
                use_bias=False,
                kernel_initializer=keras.initializers.GlorotUniform(seed=derive_seed(seed, f"projection of {name}")),
                name=f"{name}_projection",
                dtype=self.dtype_policy,
            )
            self.projections[name].build((None, self.features[name]["width"]))
        self.dense: list[keras.layers.Dense] = []
        width = sum(1 if shape["kind"] == "number" else feature_dim for shape in self.features.values())
        for number, units in enumerate([*hidden, dim] if features else []):
            layer = keras.layers.Dense(
                units,
                activation="relu" if number < len(hidden) else None,
                kernel_initializer=keras.initializers.GlorotUniform(seed=derive_seed(seed, "dense", number)),
                name=f"features_{number}",
                dtype=self.dtype_policy,
            )
            layer.build((None, width))
            self.dense.append(layer)
            width = units
        self.built = True

    def set_items(self, counts: NDArray[Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        """Takes over what is known of the items.

        Args:
            counts: Training events per index, `[vocab_size]`.
            tensors: Per feature one row per index: category int `[vocab_size]`, list int `[vocab_size, width]` padded
                with 0, number float `[vocab_size]`, vector float `[vocab_size, width]`, which may be memory-mapped.

        Raises:
            DataError: A feature is missing or has another shape than the tower was made for.
        """
        for name, table in self.tables.items():
            found = tuple(np.shape(tensors[name])) if name in tensors else None
            if found != tuple(table.shape):
                raise DataError(
                    f"The feature `{name}` of {self.name} has shape {found}, the model was made for "
                    f"{tuple(table.shape)}.",
                    remedy="Train a new model on these data.",
                )
            vectors = self.features[name]["kind"] == "vector"
            table.assign(near_unit_rows(tensors[name]) if vectors else tensors[name])
        self.trained.assign((np.asarray(counts) > 0).astype(np.float32))

    def call(self, ids: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Returns vectors: int `[...]` -> float `[..., dim]`.

        Args:
            ids: Item indices; each distinct one is computed once.
            dropout_seed: int32 `[2]`; None means inference.
        """
        distinct, place = tf.unique(tf.reshape(ids, [-1]))
        vectors = tf.zeros([tf.size(distinct), self.dim], self.compute_dtype)  # [distinct, dim]
        if self.ids is not None:
            own = tf.gather(self.trained.value, distinct)  # [distinct]
            if dropout_seed is not None and self.id_dropout:
                own *= tf.cast(kept_whole(tf.shape(own), self.id_dropout, dropout_seed, "ids"), own.dtype)
            vectors += self.ids(distinct) * tf.cast(own, self.compute_dtype)[:, tf.newaxis]
        if self.features:
            vectors += self._content(distinct)
        return tf.reshape(tf.gather(vectors, place), tf.concat([tf.shape(ids), [self.dim]], axis=0))

    def lookup(self, ids: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tuple[tf.Tensor, None]:
        """Returns vectors, and no biases: int `[...]` -> float `[..., dim]`."""
        return self(ids, dropout_seed), None

    def whole(self, dropout_seed: tf.Tensor | None = None) -> tuple[tf.Tensor, None]:
        """Returns the vectors of all items, float `[vocab_size, dim]`, and no biases."""
        starts = range(0, self.vocab_size, _ROWS_AT_ONCE)
        parts = [self(tf.range(start, min(start + _ROWS_AT_ONCE, self.vocab_size)), dropout_seed) for start in starts]
        return tf.concat(parts, axis=0), None

    def _content(self, ids: tf.Tensor) -> tf.Tensor:
        """Vectors made of features: int `[items]` -> float `[items, dim]`."""
        parts = []
        for name, shape in self.features.items():
            rows = tf.gather(self.tables[name].value, ids)  # [items] or [items, width]
            if shape["kind"] == "number":
                parts.append(tf.cast(rows, self.compute_dtype)[:, tf.newaxis])  # [items, 1]
                continue
            if shape["kind"] == "vector":  # [items, width]; a missing one stays zero
                wide = tf.cast(rows, tf.float32)
                wide = tf.math.divide_no_nan(wide, tf.norm(wide, axis=1, keepdims=True))
                parts.append(self.projections[name](tf.cast(wide, self.compute_dtype)))  # [items, feature_dim]
                continue
            real = tf.cast(rows >= _FIRST_VALUE, self.compute_dtype)[..., tf.newaxis]
            vectors = tf.cast(tf.gather(self.values[name].value, rows), self.compute_dtype) * real
            if shape["kind"] == "list":
                vectors = tf.math.divide_no_nan(tf.reduce_sum(vectors, axis=1), tf.reduce_sum(real, axis=1))
            parts.append(vectors)  # [items, feature_dim]
        content = tf.concat(parts, axis=1)
        for layer in self.dense:
            content = layer(content)
        return content

    def _value_vectors(self, name: str, values: int, width: int, seed: int) -> Any:
        initializer = GateInitializer(
            width, reserved_rows=_FIRST_VALUE, seed=derive_seed(seed, f"values of {name}"), **self._initial
        )
        return self.add_weight(shape=(values, width), initializer=initializer, autocast=False, name=f"{name}_vectors")


class TowerInTraining:
    """View of an item tower with the drop-out of one training step.

    Args:
        tower: The tower.
        dropout_seed: int32 `[2]`.
    """

    def __init__(self, tower: ItemTower, dropout_seed: tf.Tensor) -> None:
        self.tower = tower
        self.dropout_seed = dropout_seed

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns vectors: int `[...]` -> float `[..., dim]`."""
        return self.tower(ids, self.dropout_seed)

    def lookup(self, ids: tf.Tensor) -> tuple[tf.Tensor, None]:
        """Returns vectors, and no biases: int `[...]` -> float `[..., dim]`."""
        return self.tower.lookup(ids, self.dropout_seed)

    def whole(self) -> tuple[tf.Tensor, None]:
        """Returns the vectors of all items, float `[vocab_size, dim]`, and no biases."""
        return self.tower.whole(self.dropout_seed)
