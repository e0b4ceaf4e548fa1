"""What TFMA measures of models that rank, in which slices, and which bounds bless a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.ranking_metrics import AVERAGE_RANK, metric_gains
from tfrec.serving.target_ranking import SIGNATURES, metric_outputs
from tfx_pipeline.gate_config import GateConfig
from tfx_pipeline.target_extracts import HISTORY, POPULARITY
from tfx_pipeline.target_metrics import BOUNDED, TARGETS, TargetMetric

MODULE = "tfx_pipeline.evaluator_module"
_OVERALL = tfma.SlicingSpec()
_SLICES = (tfma.SlicingSpec(feature_keys=[POPULARITY]), tfma.SlicingSpec(feature_keys=[HISTORY]))


def evaluator_config(gate: GateConfig, rules: EvaluationConfig, code: str = "") -> tfma.EvalConfig:
    """Returns the configuration for models that rank; that of click models is `click_evaluator_config`.

    Args:
        gate: The bounds.
        rules: Cut-offs of recall, NDCG and MRR, tie rule and history rule; both models are measured by these.
        code: Version of the code, so that decisions of another one do not come from the cache.

    Raises:
        ConfigError: A bound is about something that is no metric.
    """
    check_gate(gate)
    names = dict.fromkeys([TARGETS, *metric_outputs(rules.cutoffs), *gate.metrics])
    told = {"tie_rule": rules.tie_rule, "cold_history": gate.cold_history, "code": code}
    metrics = [_metric(name, gate, told) for name in names]
    metrics += [_slice_metric(name, gate, told) for name in gate.max_slice_loss]
    options = tfma.Options()
    options.include_default_metrics.value = False
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name=SIGNATURES[rules.exclude_history], model_type="tf_generic")],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
        slicing_specs=[_OVERALL, *_SLICES],
        options=options,
    )


def check_gate(gate: GateConfig) -> None:
    """Raises ConfigError unless every bound is about a metric of which more is better."""
    for name in gate.metrics:
        if name == AVERAGE_RANK:
            raise ConfigError(f"The gate bounds `{name}`, of which less is better.", remedy="Bound `mrr` instead.")
        metric_gains(name, np.ones(1))


def _metric(name: str, gate: GateConfig, told: Mapping[str, Any]) -> tfma.MetricConfig:
    """A metric with its bounds over all targets. Those of `threshold` would hold in every slice."""
    found = _target_metric({**told, "name": name})
    overall = tfma.MetricThreshold()
    if name in gate.minimum:
        overall.value_threshold.lower_bound.value = gate.minimum[name]
    if name in gate.max_loss:
        overall.change_threshold.CopyFrom(_at_most_lost(gate.max_loss[name]))
    if overall.ByteSize():
        found.per_slice_thresholds.append(tfma.PerSliceMetricThreshold(slicing_specs=[_OVERALL], threshold=overall))
    return found


def _slice_metric(name: str, gate: GateConfig, told: Mapping[str, Any]) -> tfma.MetricConfig:
    """The same metric in slices of many targets, with its bound there."""
    found = _target_metric({**told, "name": f"{name}{BOUNDED}", "min_targets": gate.min_slice_targets})
    bound = tfma.MetricThreshold(change_threshold=_at_most_lost(gate.max_slice_loss[name]))
    found.per_slice_thresholds.append(tfma.PerSliceMetricThreshold(slicing_specs=_SLICES, threshold=bound))
    return found


def _target_metric(settings: Mapping[str, Any]) -> tfma.MetricConfig:
    text = json.dumps(settings)
    return tfma.MetricConfig(class_name=TargetMetric.__name__, module=TargetMetric.__module__, config=text)


def _at_most_lost(bound: float) -> tfma.GenericChangeThreshold:
    change = tfma.GenericChangeThreshold(direction=tfma.MetricDirection.HIGHER_IS_BETTER)
    change.absolute.value = -bound
    return change
