"""Signatures of a SavedModel: a function and the inputs it is traced for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import tensorflow as tf

from tfrec.serving.id_table import IdTable

Tensors = dict[str, tf.Tensor]
Specs = dict[str, tf.TensorSpec]
Signature = tuple[Callable[..., Tensors], Specs]
"""A function of named tensors, and these."""


def history_specs(
    ids: tf.DType, request_features: Collection[str], event_values: Mapping[str, IdTable], users: IdTable | None
) -> Specs:
    """Returns the inputs that say what is known of a user; see `ServedModel.serving_default`.

    Args:
        ids: Type of item ids.
        request_features: What the model asks for besides the history.
        event_values: Vocabularies of the features of events that the model is told.
        users: The user vocabulary, if the model is told the user.
    """
    found = {"history": tf.TensorSpec([None, None], ids), "history_length": tf.TensorSpec([None], tf.int32)}
    if "timestamp" in request_features:
        found["timestamp"] = tf.TensorSpec([None, None], tf.int64)
    if "request_time" in request_features:
        found["request_time"] = tf.TensorSpec([None], tf.int64)
    found |= {name: tf.TensorSpec([None, None], table.dtype) for name, table in event_values.items()}
    if users is not None:
        found["user"] = tf.TensorSpec([None], users.dtype)
    return found


def traced(function: Callable[..., Tensors], specs: Specs) -> Any:
    """Returns the concrete function of named inputs, as `tf.saved_model.save` takes it."""
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()}

    def by_name(**inputs: tf.Tensor) -> Tensors:
        return function(**inputs)

    return tf.function(by_name, autograph=False).get_concrete_function(**named)
