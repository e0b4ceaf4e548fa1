"""Raw ids to indices and back, in a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, Vocabulary


class IdTable(tf.Module):
    """The vocabulary of a SavedModel: int64 or string ids of any content.

    The ids stand in one variable, in the order of their indices. It gives raw ids by gather and fills the hash table
    for the other direction, when the SavedModel is loaded; so each id is stored once, and none as a constant of the
    graph, whose size is limited to 2 GB.

    Args:
        vocabulary: The vocabulary.
        name: Name of the module.

    Attributes:
        dtype: `tf.int64` or `tf.string`.
        size: Number of indices, the two reserved ones included.

    Example:
        >>> table = IdTable(Vocabulary(pa.array([7, 2**40]), [2, 1]), name="items")  # doctest: +SKIP
        >>> table.lookup(tf.constant([2**40, 8], tf.int64)).numpy().tolist()  # doctest: +SKIP
        [3, 1]
    """

    def __init__(self, vocabulary: Vocabulary, name: str) -> None:
        super().__init__(name=name)
        self.dtype = tf.int64 if vocabulary.id_type == "int64" else tf.string
        self.size = vocabulary.size
        if vocabulary.id_type == "int64":
            ids: Any = np.concatenate([np.zeros(FIRST_INDEX, np.int64), vocabulary.ids])
        else:
            ids = np.array([b""] * FIRST_INDEX + [text.encode() for text in vocabulary.ids], object)
        self.ids = tf.Variable(ids, trainable=False, dtype=self.dtype, name="ids")  # [size]
        self.table = tf.lookup.StaticHashTable(_FromVariable(self.ids), OOV_INDEX)

    def lookup(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns indices of raw ids `[...]`, int32 of the same shape; 1 = unknown."""
        return self.table.lookup(raw)

    def raw(self, indices: tf.Tensor) -> tf.Tensor:
        """Returns raw ids of indices int32 `[...]`; 0 or the empty text for the reserved indices 0 and 1."""
        return tf.gather(self.ids, indices)


class _FromVariable(tf.lookup.KeyValueTensorInitializer):
    """Fills a table from index 2 on with the values of a variable as keys and their indices as values."""

    def __init__(self, ids: tf.Variable) -> None:
        super().__init__(tf.zeros([0], ids.dtype), tf.zeros([0], tf.int32))
        self._ids = ids

    def initialize(self, table: Any) -> Any:
        keys = self._ids[FIRST_INDEX:]
        indices = tf.range(FIRST_INDEX, tf.size(keys) + FIRST_INDEX)
        return tf.raw_ops.LookupTableImportV2(table_handle=table.resource_handle, keys=keys, values=indices)
