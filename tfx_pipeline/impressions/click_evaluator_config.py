"""What TFMA measures of click models, in which slices, and which bounds bless one."""

from __future__ import annotations

import json
from collections.abc import Sequence

import tensorflow_model_analysis as tfma

from tfx_pipeline.impressions.click_gate_config import ClickGateConfig, check_click_gate
from tfx_pipeline.impressions.click_metric import LESS_IS_BETTER, METRICS, ClickMetric
from tfx_pipeline.target_metrics import BOUNDED

MODULE = "tfx_pipeline.impressions.click_evaluator_module"
SIGNATURE = "serialized"
"""Signature that takes raw examples."""

_OVERALL = tfma.SlicingSpec()


def click_evaluator_config(
    gate: ClickGateConfig, label: str, slices: Sequence[str] = (), code: str = ""
) -> tfma.EvalConfig:
    """Returns the configuration for click models.

    Args:
        gate: The bounds.
        label: Column of labels.
        slices: Columns by whose values it is broken down.
        code: Version of the code, so that decisions of another one do not come from the cache.

    Raises:
        ConfigError: A bound is about something that is no metric, or in the wrong direction.
    """
    check_click_gate(gate)
    specs = [tfma.SlicingSpec(feature_keys=[name]) for name in slices]
    metrics = [_metric(name, gate, code) for name in METRICS]
    if specs:
        metrics += [_slice_metric(name, gate, specs, code) for name in gate.max_slice_loss]
    options = tfma.Options()
    options.include_default_metrics.value = False
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name=SIGNATURE, label_key=label, model_type="tf_generic")],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
        slicing_specs=[_OVERALL, *specs],
        options=options,
    )


def _metric(name: str, gate: ClickGateConfig, code: str) -> tfma.MetricConfig:
    """A metric with its bounds over all rows. Those of `threshold` would hold in every slice."""
    found = _click_metric(name=name, code=code)
    overall = tfma.MetricThreshold()
    if name in gate.minimum:
        overall.value_threshold.lower_bound.value = gate.minimum[name]
    if name in gate.maximum:
        overall.value_threshold.upper_bound.value = gate.maximum[name]
    if name in gate.max_loss:
        overall.change_threshold.CopyFrom(_at_most_lost(name, gate.max_loss[name]))
    if overall.ByteSize():
        found.per_slice_thresholds.append(tfma.PerSliceMetricThreshold(slicing_specs=[_OVERALL], threshold=overall))
    return found


def _slice_metric(name: str, gate: ClickGateConfig, specs: Sequence[tfma.SlicingSpec], code: str) -> tfma.MetricConfig:
    """The same metric in slices of many rows, with its bound there."""
    least = {"min_rows": gate.min_slice_rows, "min_clicks": gate.min_slice_clicks}
    found = _click_metric(name=f"{name}{BOUNDED}", code=code, **least)
    bound = tfma.MetricThreshold(change_threshold=_at_most_lost(name, gate.max_slice_loss[name]))
    found.per_slice_thresholds.append(tfma.PerSliceMetricThreshold(slicing_specs=specs, threshold=bound))
    return found


def _click_metric(**settings: str | int) -> tfma.MetricConfig:
    text = json.dumps(settings, sort_keys=True)
    return tfma.MetricConfig(class_name=ClickMetric.__name__, module=ClickMetric.__module__, config=text)


def _at_most_lost(name: str, bound: float) -> tfma.GenericChangeThreshold:
    """A bound on the change: log-loss may rise so much, AUC may fall so much."""
    less = name in LESS_IS_BETTER
    direction = tfma.MetricDirection.LOWER_IS_BETTER if less else tfma.MetricDirection.HIGHER_IS_BETTER
    change = tfma.GenericChangeThreshold(direction=direction)
    change.absolute.value = bound if less else -bound
    return change
