"""Dense layer that treats all positions of all rows as one matrix."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class FlatDense(keras.layers.Dense):
    """`keras.layers.Dense` with one product for `[batch, seq, width]`.

    Keras multiplies row by row: the gradient of the kernel is then a matrix for every row of the batch, which are all
    written before they are summed. Weights and results are the same.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Maps float `[..., width]` to `[..., units]`."""
        flat = super().call(tf.reshape(inputs, [-1, inputs.shape[-1]]))  # [positions, units]
        outputs = tf.reshape(flat, tf.concat([tf.shape(inputs)[:-1], [self.units]], axis=0))
        return tf.ensure_shape(outputs, [*inputs.shape[:-1], self.units])
