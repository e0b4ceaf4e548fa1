"""What the Evaluator decided, and why, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import tensorflow_model_analysis as tfma

from tfx_pipeline.evaluator_bounds import EvaluatorBounds
from tfx_pipeline.impressions.click_metric import ROWS
from tfx_pipeline.target_extracts import HISTORY, HISTORY_SLICES, POPULARITY, POPULARITY_SLICES
from tfx_pipeline.target_metrics import BOUNDED

OVERALL = "all"
CANDIDATE = "candidate"
BASELINE = "baseline"

Values = dict[str, float]


@dataclass(frozen=True)
class Decision:
    """An evaluation.

    Attributes:
        blessed: Whether every bound holds.
        reasons: One sentence per bound that does not.
        slices: Values by slice (`all`, `item_popularity:head` ...), by model (`candidate`, `baseline`), by metric.
    """

    blessed: bool
    reasons: list[str] = field(default_factory=list)
    slices: dict[str, dict[str, Values]] = field(default_factory=dict)

    def small_slices(self, gate: EvaluatorBounds) -> list[str]:
        """Returns the names of slices that have no bounds because they are small."""
        return [
            name for name, models in self.slices.items() if name != OVERALL and gate.is_small(models.get(CANDIDATE, {}))
        ]


def read_decision(evaluation: str) -> Decision:
    """Reads the output `evaluation` of the Evaluator.

    Args:
        evaluation: URI of the artifact.
    """
    validation = tfma.load_validation_result(evaluation)
    slices = _slices(evaluation)
    failures: dict[str, list[str]] = {}
    for part in validation.metric_validations_per_slice:
        name = _slice_name(part.slice_key)
        failures[name] = [reason for failure in part.failures for reason in _explain(name, failure, slices[name])]
    reasons = [reason for name in slices for reason in failures.get(name, ())]
    reasons += [f"nothing is in the slice {_spec(missing)}" for missing in validation.missing_slices]
    return Decision(bool(validation.validation_ok), list(dict.fromkeys(reasons)), slices)


def _slices(evaluation: str) -> dict[str, dict[str, Values]]:
    slices: dict[str, dict[str, Values]] = {}
    for record in tfma.load_metrics(evaluation):
        name = _slice_name(record.slice_key)
        models = slices.setdefault(name, {})
        for entry in record.metric_keys_and_values:
            if entry.key.is_diff or entry.key.name.endswith(BOUNDED):
                continue
            value = entry.value.double_value.value
            if not math.isnan(value):  # as the AUC of a slice without clicks
                models.setdefault(entry.key.model_name or CANDIDATE, {})[entry.key.name] = value
    order = [OVERALL, *(f"{POPULARITY}:{name}" for name in POPULARITY_SLICES)]
    order += [f"{HISTORY}:{name}" for name in HISTORY_SLICES]
    return dict(
        sorted(slices.items(), key=lambda one: (order.index(one[0]) if one[0] in order else len(order), one[0]))
    )


def _explain(name: str, failure: Any, models: dict[str, Values]) -> list[str]:
    metric = failure.metric_key.name.removesuffix(BOUNDED)
    everything = "all rows" if ROWS in models.get(CANDIDATE, {}) else "all targets"
    where = f"{metric} of {everything if name == OVERALL else name}"
    own, old = (models.get(model, {}).get(metric, math.nan) for model in (CANDIDATE, BASELINE))
    threshold = failure.metric_threshold
    if threshold.HasField("value_threshold"):
        bounds = threshold.value_threshold
        if bounds.HasField("upper_bound"):
            return [f"{where} is {own:.4f}; at most {bounds.upper_bound.value:g} is accepted"]
        return [f"{where} is {own:.4f}; at least {bounds.lower_bound.value:g} is needed"]
    if threshold.HasField("change_threshold"):
        change = threshold.change_threshold
        less = change.direction == tfma.MetricDirection.LOWER_IS_BETTER
        distance = f"{own - old:.4f} above" if less else f"{old - own:.4f} below"
        bound = abs(change.absolute.value)
        return [f"{where} is {own:.4f}, {distance} the baseline's {old:.4f}; at most {bound:g} may be lost"]
    return [f"{where}: {failure.message.strip() or 'a bound does not hold'}"]


def _slice_name(key: Any) -> str:
    return ", ".join(f"{column.column}:{_value(column)}" for column in key.single_slice_keys) or OVERALL


def _value(column: Any) -> str:
    kind = column.WhichOneof("kind")
    value = getattr(column, kind)
    return value.decode() if isinstance(value, bytes) else str(value)


def _spec(spec: Any) -> str:
    return ", ".join([*spec.feature_keys, *(f"{key}:{value}" for key, value in spec.feature_values.items())]) or OVERALL
