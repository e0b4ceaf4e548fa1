"""Metrics of TFMA over the ranks of targets, computed as offline evaluation computes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from tfrec.evaluation.ranking_metrics import metric_gains
from tfrec.evaluation.tie_rules import TieRule, ranks_from_counts
from tfx_pipeline.target_extracts import GREATER, GREATER_EQUAL, KNOWN

TARGETS = "targets"
BOUNDED = "#bounded"
"""Ends the name of a metric that is 0 in slices too small to be bounded, for every model."""


class TargetMetric(tfma.metrics.Metric):
    """A metric of `tfrec.evaluation.ranking_metrics` averaged over targets, or their number.

    Args:
        name: For example `recall@20`, `mrr`; `targets`: how many there are; `recall@20#bounded`: see `min_targets`.
        tie_rule: `standard`, `conservative` or `median`.
        cold_history: Targets after fewer events are cold. It decides slices, not values, and stands here because the
            extractors are told nothing but the configuration of the evaluation.
        min_targets: Of fewer targets the value is 0, so that no bound on a difference to another model is broken.
        code: Version of the code; decides nothing but whether the evaluation comes from the cache.
    """

    def __init__(
        self,
        name: str = TARGETS,
        tie_rule: TieRule = "conservative",
        cold_history: int = 1,
        min_targets: int = 0,
        code: str = "",
    ) -> None:
        told = {"cold_history": cold_history, "min_targets": min_targets, "code": code}
        super().__init__(_computations, name=name, tie_rule=tie_rule, **told)

    @property
    def compute_confidence_interval(self) -> bool:
        """Not by resampling extracts, which hold many targets each."""
        return False


def cold_history(eval_config: tfma.EvalConfig) -> int:
    """Returns the bound of the slice `cold` that the metrics of a configuration state."""
    for spec in eval_config.metrics_specs:
        for metric in spec.metrics:
            if metric.class_name == TargetMetric.__name__:
                return int(json.loads(metric.config).get("cold_history", 1))
    raise ValueError(f"No metric is a `{TargetMetric.__name__}`.")


def _computations(
    name: str, tie_rule: TieRule, min_targets: int = 0, model_names: list[str] | None = None, **_: Any
) -> list[metric_types.MetricComputation]:
    computations = []
    for model in model_names or [""]:
        key = metric_types.MetricKey(name=name, model_name=model)
        inputs = metric_types.StandardMetricInputsPreprocessor(
            include_filter={tfma.PREDICTIONS_KEY: {}}, include_default_inputs=False
        )
        computations.append(metric_types.MetricComputation([key], [inputs], _Mean(key, tie_rule, min_targets)))
    return computations


class _Mean(beam.CombineFn):
    """Sums gains and counts targets."""

    def __init__(self, key: metric_types.MetricKey, tie_rule: TieRule, min_targets: int) -> None:
        self._key = key
        self._metric = key.name.removesuffix(BOUNDED)
        self._tie_rule = tie_rule
        self._min_targets = min_targets

    def create_accumulator(self) -> tuple[float, int]:
        return 0.0, 0

    def add_input(self, accumulator: tuple[float, int], element: Mapping[str, Any]) -> tuple[float, int]:
        predictions = element[tfma.PREDICTIONS_KEY]
        own = predictions.get(self._key.model_name, predictions)
        ranks = ranks_from_counts(own[GREATER], own[GREATER_EQUAL], self._tie_rule)  # [targets]
        ranks = np.where(own[KNOWN], ranks, np.inf)
        gain = 0.0 if self._metric == TARGETS else float(metric_gains(self._metric, ranks).sum())
        return accumulator[0] + gain, accumulator[1] + ranks.size

    def merge_accumulators(self, accumulators: Any) -> tuple[float, int]:
        parts = list(accumulators)
        return sum(part[0] for part in parts), sum(part[1] for part in parts)

    def extract_output(self, accumulator: tuple[float, int]) -> dict[metric_types.MetricKey, float]:
        total, targets = accumulator
        if targets < self._min_targets:
            return {self._key: 0.0}
        return {self._key: float(targets) if self._metric == TARGETS else total / max(1, targets)}
