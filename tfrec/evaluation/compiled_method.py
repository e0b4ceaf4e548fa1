"""Methods of Keras models as graphs that are traced once, however batches differ in size and however often they run."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfrec.evaluation.scorer import Batch

BatchFunction = Callable[[Batch], tf.Tensor]

# Graphs live as long as their model: the closures below hold it weakly.
_GRAPHS: weakref.WeakKeyDictionary[Any, dict[tuple[Any, ...], BatchFunction]] = weakref.WeakKeyDictionary()


def compiled_method(scorer: Any, method: str) -> BatchFunction:
    """Returns a method that takes a batch, as a graph when the scorer is a Keras model.

    Args:
        scorer: Any scorer; anything but a Keras model is called as it is.
        method: Name of a method from a batch to a tensor.

    Returns:
        A function of a batch. Number and length of sequences may vary from call to call; other axes may not.
    """
    if not isinstance(scorer, keras.Model):
        function: BatchFunction = getattr(scorer, method)
        return function
    reference = weakref.ref(scorer)
    graphs = _GRAPHS.setdefault(scorer, {})

    def call(batch: Batch) -> tf.Tensor:
        specs = {name: _variable_length(tensor) for name, tensor in batch.items()}
        key = (method, *sorted((name, spec.dtype.name, tuple(spec.shape)) for name, spec in specs.items()))
        if key not in graphs:
            traced = tf.function(lambda tensors: getattr(reference(), method)(tensors), autograph=False)
            graphs[key] = traced.get_concrete_function(specs)
        return graphs[key](dict(batch))

    return call


def _variable_length(tensor: tf.Tensor) -> tf.TensorSpec:
    shape = tf.convert_to_tensor(tensor).shape.as_list()
    return tf.TensorSpec([None] * min(2, len(shape)) + shape[2:], tensor.dtype)
