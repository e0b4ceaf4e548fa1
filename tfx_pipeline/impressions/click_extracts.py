"""From batches of raw impressions and predictions to extracts of TFMA: one per slice that a batch has rows of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors.slice_key_extractor import SLICE_KEY_EXTRACTOR_STAGE_NAME

from tfx_pipeline.impressions.click_metric import LABEL, LOGIT

MISSING = "(missing)"
"""Value of a slice whose rows have none."""

Extracts = Mapping[str, Any]


def row_extracts(batch: Extracts, *, label: str, slices: Sequence[str]) -> dict[str, Any]:
    """Takes what is needed of a batch of examples: the examples themselves, labels, and values of slices.

    Args:
        batch: With the record batch of raw examples.
        label: Column of labels.
        slices: Columns of categories.
    """
    rows = batch[constants.ARROW_RECORD_BATCH_KEY]
    features: dict[str, Any] = {label: _values(rows, label, 0).astype(np.int64)}
    features |= {name: _values(rows, name, MISSING) for name in slices}
    serialized = rows.column(rows.schema.get_field_index(constants.ARROW_INPUT_COLUMN))
    return {constants.INPUT_KEY: np.asarray(serialized.flatten()), tfma.FEATURES_KEY: features}


def click_extracts(batch: Extracts, *, label: str, slices: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Groups the rows of a batch by slice, so that nothing is done row by row.

    Args:
        batch: Of `row_extracts`, with the predictions of one model (outputs by name) or of several (by model).
        label: Column of labels.
        slices: Columns of categories.

    Yields:
        Extracts with the key of a slice and, for each model, `predictions`: `label` and `logit`, `[rows]`.
    """
    predictions, features = batch[tfma.PREDICTIONS_KEY], batch[tfma.FEATURES_KEY]
    models = {"": predictions} if LOGIT in predictions else predictions
    labels = features[label]
    logits = {name: np.asarray(outputs[LOGIT]).reshape(-1) for name, outputs in models.items()}

    def extract(key: tuple[Any, ...], rows: Any) -> dict[str, Any]:
        keys = np.empty(1, object)
        keys[0] = key
        found = {name: {LABEL: labels[rows], LOGIT: held[rows]} for name, held in logits.items()}
        return {constants.SLICE_KEY_TYPES_KEY: keys, tfma.PREDICTIONS_KEY: found.get("", found)}

    yield extract((), slice(None))
    for name in slices:
        values, codes = np.unique(features[name], return_inverse=True)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(values)))
        for value, rows in zip(values.tolist(), np.split(order, ends[:-1]), strict=True):
            yield extract(((name, value),), rows)


def RowExtractor(label: str, slices: Sequence[str]) -> tfma.extractors.Extractor:
    """Returns `row_extracts` as an extractor, in the place of the one of all features."""
    return tfma.extractors.Extractor(
        stage_name="ExtractRows",
        ptransform=beam.Map(lambda batch: row_extracts(batch, label=label, slices=slices)),
    )


def ClickExtractor(label: str, slices: Sequence[str]) -> tfma.extractors.Extractor:
    """Returns `click_extracts` as an extractor, in the place of the one that unbatches and the one of slices."""
    return tfma.extractors.Extractor(
        stage_name=SLICE_KEY_EXTRACTOR_STAGE_NAME,
        ptransform=beam.FlatMap(lambda batch: click_extracts(batch, label=label, slices=slices)),
    )


def _values(rows: pa.RecordBatch, name: str, missing: Any) -> npt.NDArray[Any]:
    """The first value of every row, text decoded."""
    place = rows.schema.get_field_index(name)
    found = np.full(rows.num_rows, missing, object)
    if place < 0 or pa.types.is_null(rows.column(place).type):  # no row of the batch has a value
        return found
    lists = rows.column(place)
    filled = np.asarray(lists.value_lengths().fill_null(0)) > 0
    first = np.asarray(lists.offsets)[:-1][filled]
    values = lists.values.take(pa.array(first))
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values = values.cast(pa.large_string())
    found[filled] = values.to_numpy(zero_copy_only=False)
    return found
