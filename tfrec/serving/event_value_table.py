"""Raw values of a feature of events to indices, in a graph."""

from __future__ import annotations

import tensorflow as tf

from tfrec.data.vocabulary import PADDING_INDEX
from tfrec.serving.client.id_arrays import UNKNOWN_ID
from tfrec.serving.id_table import IdTable


class EventValueTable(IdTable):
    """The vocabulary of a feature of events: a value that nobody told has the index 0, as where a log has none."""

    def lookup(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns indices of raw values `[...]`, int32 of the same shape; 1 = unknown, 0 = not told (`UNKNOWN_ID`)."""
        untold = tf.equal(raw, UNKNOWN_ID["string" if self.dtype == tf.string else "int64"])
        return tf.where(untold, PADDING_INDEX, super().lookup(raw))
