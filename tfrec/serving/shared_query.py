"""What a model says of a batch, as one graph for all signatures of an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf


def shared_query(model: Any, factorised: bool) -> Any:
    """Returns states or scores of batches, as one graph for all signatures."""
    row, rows = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.int32)
    batch = {"item": rows, "timestamp": tf.TensorSpec([None, None], tf.int64), "length": row, "num_targets": row}
    batch |= dict.fromkeys(model.event_vocabularies, rows)
    if "user" in model.request_features:
        batch["user"] = row

    def query(batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(model.encode_targets(batch) if factorised else model.score_targets(batch), tf.float32)

    return tf.function(query, input_signature=[batch], autograph=False)
