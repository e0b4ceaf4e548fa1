"""What TFMA measures, in which slices, and which bounds bless a model."""

from __future__ import annotations

import json

import numpy as np
import tensorflow_model_analysis as tfma

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.ranking_metrics import AVERAGE_RANK, metric_gains
from tfrec.serving.target_ranking import SIGNATURES, metric_outputs
from tfx_pipeline.gate_config import GateConfig
from tfx_pipeline.target_extracts import HISTORY, POPULARITY
from tfx_pipeline.target_metrics import TARGETS, TargetMetric

MODULE = "tfx_pipeline.evaluator_module"
_OVERALL = tfma.SlicingSpec()
_SLICES = (tfma.SlicingSpec(feature_keys=[POPULARITY]), tfma.SlicingSpec(feature_keys=[HISTORY]))


def evaluator_config(gate: GateConfig, rules: EvaluationConfig) -> tfma.EvalConfig:
    """Returns the configuration for models that rank sequences.

    Models that predict clicks would get a configuration of their own here: a signature of probabilities, AUC, average
    precision and log-loss, slices of the impressions' features.

    Args:
        gate: The bounds.
        rules: Cut-offs of recall, NDCG and MRR, tie rule and history rule; both models are measured by these.

    Raises:
        ConfigError: A bound is about something that is no metric.
    """
    check_gate(gate)
    names = dict.fromkeys([TARGETS, *metric_outputs(rules.cutoffs), *gate.metrics])
    options = tfma.Options()
    options.include_default_metrics.value = False
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name=SIGNATURES[rules.exclude_history], model_type="tf_generic")],
        metrics_specs=[tfma.MetricsSpec(metrics=[_metric(name, gate, rules) for name in names])],
        slicing_specs=[_OVERALL, *_SLICES],
        options=options,
    )


def check_gate(gate: GateConfig) -> None:
    """Raises ConfigError unless every bound is about a metric of which more is better."""
    for name in gate.metrics:
        if name == AVERAGE_RANK:
            raise ConfigError(f"The gate bounds `{name}`, of which less is better.", remedy="Bound `mrr` instead.")
        metric_gains(name, np.ones(1))


def _metric(name: str, gate: GateConfig, rules: EvaluationConfig) -> tfma.MetricConfig:
    """A metric with its bounds. Those of `threshold` would hold in every slice: each bound names its slices."""
    settings = json.dumps({"name": name, "tie_rule": rules.tie_rule, "cold_history": gate.cold_history})
    found = tfma.MetricConfig(class_name=TargetMetric.__name__, module=TargetMetric.__module__, config=settings)
    overall = tfma.MetricThreshold()
    if name in gate.minimum:
        overall.value_threshold.lower_bound.value = gate.minimum[name]
    if name in gate.max_loss:
        overall.change_threshold.CopyFrom(_at_most_lost(gate.max_loss[name]))
    if overall.ByteSize():
        found.per_slice_thresholds.append(tfma.PerSliceMetricThreshold(slicing_specs=[_OVERALL], threshold=overall))
    if name in gate.max_slice_loss:
        bound = tfma.MetricThreshold(change_threshold=_at_most_lost(gate.max_slice_loss[name]))
        found.per_slice_thresholds.append(tfma.PerSliceMetricThreshold(slicing_specs=_SLICES, threshold=bound))
    return found


def _at_most_lost(bound: float) -> tfma.GenericChangeThreshold:
    change = tfma.GenericChangeThreshold(direction=tfma.MetricDirection.HIGHER_IS_BETTER)
    change.absolute.value = -bound
    return change
