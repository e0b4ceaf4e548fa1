"""Loss scaling for float16 that never reads a whole table."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseLossScale(keras.optimizers.LossScaleOptimizer):
    """Keras' dynamic loss scaling whose check for overflow looks at the rows of a sparse gradient.

    Keras asks whether a gradient is finite after making it dense, which is work proportional to the vocabulary in
    every step. Rows that were not looked up have no gradient, so their absence changes no answer.

    Args: as of `keras.optimizers.LossScaleOptimizer`.
    """

    def check_finite(self, grads: Sequence[tf.Tensor | tf.IndexedSlices | None]) -> tf.Tensor:
        """Returns whether all gradients are finite, bool scalar."""
        values = [grad.values if isinstance(grad, tf.IndexedSlices) else grad for grad in grads if grad is not None]
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in values])
