"""Predictions of a click model for a split, a batch at a time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.impressions.impression_batches import LABEL, impression_batches
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.models.impression_model import ImpressionModel


@dataclass(frozen=True)
class ScoredImpressions:
    """Labels and predictions of the rows of a split, in stored order.

    Attributes:
        labels: float32 `[rows]`.
        logits: float32 `[rows]`.
        columns: Further features by name, int32 `[rows]`.
    """

    labels: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32]
    columns: dict[str, npt.NDArray[Any]]


def score_impressions(
    model: ImpressionModel,
    dataset: ImpressionDataset,
    split: str,
    batch_size: int,
    *,
    columns: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> ScoredImpressions:
    """Predicts every row of a split.

    Args:
        model: A click model.
        dataset: An open dataset.
        split: Name of the split.
        batch_size: Rows per batch.
        columns: Features of ids that are returned with the predictions.
        progress: Called with the number of rows done.
    """
    predict = logits_function(model)
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in ("labels", "logits", *columns)}
    done = 0
    with dataset.explain_data_loss(split):
        for batch in impression_batches(dataset, split, batch_size, max_length=model.max_length):
            parts["labels"].append(batch[LABEL].numpy())
            parts["logits"].append(predict(batch).numpy())
            for name in columns:
                parts[name].append(batch[name].numpy())
            done += len(parts["labels"][-1])
            if progress is not None:
                progress(done)
    joined = {name: np.concatenate(pieces) if pieces else np.zeros(0, np.float32) for name, pieces in parts.items()}
    labels, logits = joined.pop("labels"), joined.pop("logits")
    return ScoredImpressions(labels, logits, joined)


def logits_function(model: ImpressionModel) -> Callable[[Any], tf.Tensor]:
    """Returns the logits of a model as a function of batches of any size, traced once per model."""

    def predict(batch: Any) -> tf.Tensor:
        inputs = {name: tf.convert_to_tensor(value) for name, value in batch.items() if name != LABEL}
        if model.inference_graph is None:
            signature = {name: tf.TensorSpec([None] * len(part.shape), part.dtype) for name, part in inputs.items()}
            # TensorFlow counts traces by code: without an object of its own, many models look like one that retraces.
            own = functools.partial(model.logits_of_batch)
            model.inference_graph = tf.function(own, input_signature=[signature])
        return model.inference_graph(inputs)

    return predict
