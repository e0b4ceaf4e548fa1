"""From the ranks of a batch of examples to extracts of TFMA: one per kind of target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from numpy.typing import NDArray

POPULARITY = "item_popularity"
HISTORY = "user_history"
POPULARITY_SLICES = ("head", "torso", "tail")
HISTORY_SLICES = ("cold", "warm")
GREATER, GREATER_EQUAL, KNOWN = "greater", "greater_equal", "known"
_RANK = "rank"

Extracts = Mapping[str, Any]


def target_extracts(batch: Extracts, *, candidate: str, cold_history: int) -> Iterator[dict[str, Any]]:
    """Groups the targets of a batch by the slices they belong to.

    An example has many targets, which belong to different slices; TFMA knows slices of examples only. So each extract
    holds the ranks of all targets of the batch that are in the same slices, and there are few extracts however many
    targets. What is head, torso and tail is decided by the candidate for both models.

    Args:
        batch: Batched extracts with the predictions of one model (outputs by name) or of several (by model).
        candidate: Name of the candidate among several models.
        cold_history: Targets after fewer events are cold.

    Yields:
        Extracts with `features` and, for each model, `predictions`: `greater`, `greater_equal`, `known`, `[targets]`.
    """
    predictions = batch[tfma.PREDICTIONS_KEY]
    models = {"": predictions} if _RANK in predictions else predictions
    own = models[candidate if candidate in models else ""]
    real = np.asarray(own[_RANK]) > 0  # [batch, most targets]
    popularity = np.asarray(own["popularity"])[real]  # [targets]
    warm = np.asarray(own["history"])[real] >= cold_history  # [targets]
    counts = {name: _counts(outputs, real, name) for name, outputs in models.items()}
    for bucket, popular in enumerate(POPULARITY_SLICES):
        for is_warm, history in enumerate(HISTORY_SLICES):
            inside = (popularity == bucket) & (warm == bool(is_warm))
            if inside.any():
                found = {name: {key: held[inside] for key, held in values.items()} for name, values in counts.items()}
                yield {
                    tfma.FEATURES_KEY: {POPULARITY: np.array([popular]), HISTORY: np.array([history])},
                    tfma.PREDICTIONS_KEY: found.get("", found),
                }


def _counts(outputs: Extracts, real: NDArray[np.bool_], name: str) -> dict[str, NDArray[Any]]:
    rank = np.asarray(outputs[_RANK])
    if rank.shape != real.shape or not np.array_equal(rank > 0, real):
        raise ValueError(f"The model `{name}` found other targets in the examples than the candidate.")
    counts = {key: np.asarray(outputs[key])[real] for key in (GREATER, GREATER_EQUAL)}
    return {**counts, KNOWN: np.isfinite(rank[real])}


def TargetExtractor(candidate: str, cold_history: int) -> tfma.extractors.Extractor:
    """Returns `target_extracts` as an extractor, which replaces the one that unbatches."""
    return tfma.extractors.Extractor(
        stage_name="ExtractTargets",
        ptransform=beam.FlatMap(lambda batch: target_extracts(batch, candidate=candidate, cold_history=cold_history)),
    )
