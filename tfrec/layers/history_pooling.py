"""Causal weighted means over a history of events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrec")
class HistoryPooling(keras.layers.Layer):
    """Means of all events up to each position, in which an event k steps ago weighs decay^k.

    Args:
        decays: One mean per decay, in [0, 1]: 1 is the plain mean, 0 the event itself (0^0 = 1).

    Example:
        >>> HistoryPooling([1.0, 0.0])(tf.constant([[[2.0], [4.0]]])).numpy().tolist()
        [[[2.0, 2.0], [3.0, 4.0]]]
    """

    def __init__(self, decays: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decays = [float(decay) for decay in decays]
        self.built = True

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """Pools, in float32 whatever the precision of the vectors: sums over a long history would lose what is added.

        Args:
            vectors: float `[batch, seq, dim]`; position t sees 0..t only, so padding on the right does no harm.

        Returns:
            float `[batch, seq, decays * dim]`, of the type of `vectors`.
        """
        wide = tf.cast(vectors, tf.float32)
        return tf.cast(tf.concat([self._mean(wide, decay) for decay in self.decays], axis=-1), vectors.dtype)

    def _mean(self, vectors: tf.Tensor, decay: float) -> tf.Tensor:
        if decay == 0.0:
            return vectors
        position = tf.range(tf.shape(vectors)[1])  # [seq]
        if decay == 1.0:
            count = tf.cast(position + 1, tf.float32)[:, tf.newaxis]  # [seq, 1]
            return tf.cumsum(vectors, axis=1) / count  # [batch, seq, dim]
        age = position[:, tf.newaxis] - position  # [seq, seq]: steps since event j at position t
        weights = tf.where(age >= 0, tf.pow(decay, tf.cast(tf.maximum(age, 0), tf.float32)), 0.0)
        weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
        return tf.matmul(weights, vectors)  # [batch, seq, dim]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decays": self.decays}
