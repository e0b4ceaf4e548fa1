"""The ranking task of TensorFlow Recommenders for Keras 3 models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.compat import legacy_keras
from tfrec.errors import ConfigError
from tfrec.tasks.legacy_metrics import LegacyMetrics

_REDUCTIONS = {"sum": "sum", "mean": "sum_over_batch_size", "none": "none"}


class RankingTask:
    """Holds a `tfrs.tasks.Ranking` and calls it with the predictions of a Keras 3 model.

    What `RetrievalTask` says of Keras 2 parts holds here as well.

    Args:
        loss: `binary-cross-entropy` for logits of clicks and purchases (label 0 or 1), `mean-squared-error` for
            ratings, or a Keras 2 loss.
        reduction: Of a loss given by name: `mean` as TFRS does, `sum`, or `none` for one loss per example.
        metrics: Keras 2 metrics of labels and predictions. For `binary-cross-entropy` they see probabilities.
        prediction_metrics: Keras 2 metrics of the predictions alone.
        label_metrics: Keras 2 metrics of the labels alone.

    Raises:
        ConfigError: Unknown loss or reduction.

    Example:
        >>> task = RankingTask("mean-squared-error")
        >>> float(task(tf.constant([[5.0], [1.0]]), tf.constant([[4.0], [1.0]])))
        0.5

    Reference: `tfrs.tasks.Ranking`, TensorFlow Recommenders 0.7.
    Differences: the default loss takes logits, not probabilities.
    """

    def __init__(
        self,
        loss: Literal["binary-cross-entropy", "mean-squared-error"] | Any = "binary-cross-entropy",
        *,
        reduction: Literal["sum", "mean", "none"] = "mean",
        metrics: Sequence[Any] = (),
        prediction_metrics: Sequence[Any] = (),
        label_metrics: Sequence[Any] = (),
    ) -> None:
        if reduction not in _REDUCTIONS:
            raise ConfigError(f"Unknown reduction `{reduction}`.", remedy=f"Known: {', '.join(_REDUCTIONS)}.")
        losses = legacy_keras().losses
        self._probabilities = loss == "binary-cross-entropy"
        if loss == "binary-cross-entropy":
            loss = losses.BinaryCrossentropy(from_logits=True, reduction=_REDUCTIONS[reduction])
        elif loss == "mean-squared-error":
            loss = losses.MeanSquaredError(reduction=_REDUCTIONS[reduction])
        elif isinstance(loss, str):
            raise ConfigError(
                f"Unknown ranking loss `{loss}`.", remedy="Known: binary-cross-entropy, mean-squared-error."
            )
        self.metrics = LegacyMetrics([*metrics, *prediction_metrics, *label_metrics])
        self._loss = tfrs.tasks.Ranking(loss=loss)
        # The metrics sit in a task of their own, which sees probabilities where the loss sees logits.
        self._measure = tfrs.tasks.Ranking(
            loss=_no_loss,
            metrics=list(metrics),
            prediction_metrics=list(prediction_metrics),
            label_metrics=list(label_metrics),
        )
        self._graph = tf.function(self._call_task, reduce_retracing=True)

    def __call__(
        self,
        labels: tf.Tensor,
        predictions: tf.Tensor,
        *,
        sample_weight: tf.Tensor | None = None,
        compute_metrics: bool = True,
    ) -> tf.Tensor:
        """Computes the loss and updates the metrics.

        Args:
            labels: float `[examples, 1]`.
            predictions: Logits or ratings, float `[examples, 1]`.
            sample_weight: float `[examples]` or `[examples, 1]`.
            compute_metrics: Update the metrics. Default: true.

        Returns:
            float32 scalar, or `[examples]` with `reduction="none"`.
        """
        labels, predictions = tf.cast(labels, tf.float32), tf.cast(predictions, tf.float32)
        return self._graph(labels, predictions, sample_weight, compute_metrics)

    def _call_task(
        self, labels: tf.Tensor, predictions: tf.Tensor, sample_weight: tf.Tensor | None, compute_metrics: bool
    ) -> tf.Tensor:
        if compute_metrics:
            seen = tf.sigmoid(predictions) if self._probabilities else predictions
            self._measure(labels, tf.stop_gradient(seen), sample_weight=sample_weight)
        return self._loss(labels, predictions, sample_weight=sample_weight, compute_metrics=False)


def _no_loss(y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None) -> tf.Tensor:
    return tf.constant(0.0)
