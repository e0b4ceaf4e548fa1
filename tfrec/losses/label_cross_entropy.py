"""Cross-entropy of one label per row, in fewer and faster passes than the operation that TensorFlow has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrec.layers.in_place import add_to_columns
from tfrec.losses.weighting import target_index


@tf.custom_gradient
def label_cross_entropy(
    scores: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    """`-log softmax(scores)[label]` per row.

    On processors `tf.nn.softmax` is over ten times as fast as `SoftmaxCrossEntropyWithLogits`. What it divides by
    follows from the largest score of a row, whose probability is never small.

    Args:
        scores: float32 `[rows, columns]`, finite.
        labels: Column of the label, int32 `[rows]`.

    Returns:
        float32 `[rows]`; the gradient is softmax minus one-hot.
    """
    probability = tf.nn.softmax(scores)  # [rows, columns]
    normalizer = tf.reduce_max(scores, axis=1) - tf.math.log(tf.reduce_max(probability, axis=1))  # [rows]

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return add_to_columns(probability * upstream[:, tf.newaxis], labels, -upstream), None

    return normalizer - tf.gather_nd(scores, target_index(labels)), gradient


class OneHotCrossEntropy:
    """`label_cross_entropy` in the place of Keras 2's `CategoricalCrossentropy(from_logits=True)`.

    Args:
        reduction: `sum`, `mean` over all rows whatever their weight, or `none`.
        diagonal: Row i has its label in column i, so that the labels need not be read.
    """

    def __init__(self, reduction: str = "sum", *, diagonal: bool = False) -> None:
        self.reduction = reduction
        self.diagonal = diagonal

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: Any = None) -> tf.Tensor:
        """Returns the loss.

        Args:
            y_true: One-hot labels, float `[rows, columns]`.
            y_pred: Scores, float32 `[rows, columns]`.
            sample_weight: float `[rows]`.

        Returns:
            float32 scalar, or `[rows]` without reduction.
        """
        labels = tf.range(tf.shape(y_pred)[0]) if self.diagonal else tf.argmax(y_true, axis=1, output_type=tf.int32)
        losses = label_cross_entropy(y_pred, labels)  # [rows]
        if sample_weight is not None:
            losses *= tf.cast(sample_weight, losses.dtype)
        if self.reduction == "none":
            return losses
        return tf.reduce_sum(losses) if self.reduction == "sum" else tf.reduce_mean(losses)
