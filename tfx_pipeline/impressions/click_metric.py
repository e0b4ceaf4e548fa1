"""Metrics of TFMA over clicks, computed as `tfrec.evaluate` computes them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from tfrec.evaluation.click_metrics import click_metrics
from tfx_pipeline.target_metrics import BOUNDED

ROWS, CLICKS = "rows", "clicks"
MORE_IS_BETTER = ("auc", "ap", "score")
LESS_IS_BETTER = ("logloss", "wll")
METRICS = (ROWS, CLICKS, "auc", "ap", "logloss", "score", "wll", "click_rate", "mean_prediction")
LABEL, LOGIT = "label", "logit"
_ROWS_KEY, _ALL_KEY = "_labels_and_logits", "_click_metrics"

Parts = list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]]


class ClickMetric(tfma.metrics.Metric):
    """One of `METRICS`, exact: labels and logits of a slice are brought together, five bytes per row.

    Args:
        name: For example `auc`; `auc#bounded`: 0 in slices too small to be bounded, for every model.
        min_rows: Slices of fewer rows are small.
        min_clicks: So are those of fewer clicks or fewer other rows.
        code: Version of the code; decides nothing but whether the evaluation comes from the cache.
    """

    def __init__(self, name: str = "auc", min_rows: int = 0, min_clicks: int = 0, code: str = "") -> None:
        super().__init__(_computations, name=name, min_rows=min_rows, min_clicks=min_clicks, code=code)

    @property
    def compute_confidence_interval(self) -> bool:
        """Not by resampling extracts, which hold many rows each."""
        return False


def is_small(values: Mapping[str, float], min_rows: int, min_clicks: int) -> bool:
    """Returns whether a slice has too few rows, clicks or other rows to be bounded.

    Args:
        values: With `rows` and `clicks`; a slice without them is small.
        min_rows: Least number of rows.
        min_clicks: Least number of clicks, and of other rows.
    """
    rows, clicks = values.get(ROWS, 0), values.get(CLICKS, 0)
    return rows < min_rows or min(clicks, rows - clicks) < min_clicks


def _computations(
    name: str, min_rows: int = 0, min_clicks: int = 0, model_names: list[str] | None = None, **_: Any
) -> list[Any]:
    computations: list[Any] = []
    for model in model_names or [""]:
        held, every, own = (metric_types.MetricKey(name=key, model_name=model) for key in (_ROWS_KEY, _ALL_KEY, name))
        inputs = metric_types.StandardMetricInputsPreprocessor(
            include_filter={tfma.PREDICTIONS_KEY: {}}, include_default_inputs=False
        )
        pick = functools.partial(_pick, every=every, own=own, min_rows=min_rows, min_clicks=min_clicks)
        computations += [
            metric_types.MetricComputation([held], [inputs], _Collect(held)),
            metric_types.DerivedMetricComputation([every], functools.partial(_measure, held=held, every=every)),
            metric_types.DerivedMetricComputation([own], pick),
        ]
    return computations


class _Collect(beam.CombineFn):  # type: ignore[misc]
    """Brings the labels and logits of one model together."""

    def __init__(self, key: metric_types.MetricKey) -> None:
        self._key = key

    def create_accumulator(self) -> Parts:
        return []

    def add_input(self, parts: Parts, element: Mapping[str, Any]) -> Parts:
        predictions = element[tfma.PREDICTIONS_KEY]
        own = predictions.get(self._key.model_name, predictions)
        parts.append((np.asarray(own[LABEL]) > 0, np.asarray(own[LOGIT], np.float32)))
        return parts

    def merge_accumulators(self, accumulators: Iterable[Parts]) -> Parts:
        return self.compact([part for parts in accumulators for part in parts])

    def compact(self, parts: Parts) -> Parts:
        """Makes one part of many."""
        if len(parts) < 2:
            return parts
        return [(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))]

    def extract_output(self, parts: Parts) -> dict[metric_types.MetricKey, Parts]:
        return {self._key: self.compact(parts)}


def _measure(
    metrics: Mapping[Any, Any], held: metric_types.MetricKey, every: metric_types.MetricKey
) -> dict[metric_types.MetricKey, dict[str, float]]:
    """All metrics of a slice."""
    labels, logits = metrics[held][0] if metrics[held] else (np.zeros(0, bool), np.zeros(0, np.float32))
    order = np.lexsort((labels, logits))  # parts come together in any order; sums must not depend on it
    labels, logits = labels[order], logits[order]
    return {every: {ROWS: float(len(labels)), CLICKS: float(labels.sum()), **click_metrics(labels, logits)}}


def _pick(
    metrics: Mapping[Any, Any],
    every: metric_types.MetricKey,
    own: metric_types.MetricKey,
    min_rows: int,
    min_clicks: int,
) -> dict[metric_types.MetricKey, float]:
    """One metric of a slice."""
    found = metrics[every]
    if own.name.endswith(BOUNDED) and is_small(found, min_rows, min_clicks):
        return {own: 0.0}
    return {own: found[own.name.removesuffix(BOUNDED)]}
