"""What is wrong with impressions, beyond what their schema says, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from tensorflow_metadata.proto.v0 import statistics_pb2

from tfx_pipeline.anomaly_gate.checked_impressions import CheckedImpressions
from tfx_pipeline.anomaly_gate.findings import Finding
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds

Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList
Counts: TypeAlias = Mapping[str, Mapping[str, float]]
_WHOLE = 0.999


def impression_findings(
    new: CheckedImpressions,
    baseline: CheckedImpressions | None,
    later: Mapping[str, Statistics],
    bounds: GateBounds,
) -> Iterator[Finding]:
    """Yields floods of values that nobody has seen before, and changed shares of clicks and of missing values.

    Values are compared in columns of so few that the statistics know all of them (1,000), but not in that of days.

    Args:
        new: The data.
        baseline: Those of the last run that passed.
        later: Statistics of valid and test.
        bounds: What is still accepted.
    """
    own = _values(new.statistics)
    own.pop(new.day_column or "", None)
    if baseline is not None:
        told = "the training values are none of the last run that passed"
        yield from _floods(own, _values(baseline.statistics), told, bounds.new_item_events)
        yield from _click_rate(new, baseline, bounds)
        yield from _missing(new, baseline, bounds)
    for split, statistics in later.items():
        told = f"the {split} values are none of the training rows"
        yield from _floods(_values(statistics), own, told, bounds.unknown_item_events)


def _floods(values: Counts, known: Counts, told: str, most: float) -> Iterator[Finding]:
    """Columns of whose values too large a share is not among the known ones."""
    for column, counts in values.items():
        share = _share_outside(counts, known.get(column))
        if share > most:
            text = f"{_percent(share)} of {told}; at most {_percent(most)} are expected."
            yield Finding("flood of new values", column, text)


def _click_rate(new: CheckedImpressions, baseline: CheckedImpressions, bounds: GateBounds) -> Iterator[Finding]:
    now, before = (data.record.splits["train"].clicks / data.record.splits["train"].rows for data in (new, baseline))
    if now * bounds.click_rate_ratio < before or before * bounds.click_rate_ratio < now:
        text = (
            f"{100 * now:.3f} % of the training rows are clicks, in the last run that passed {100 * before:.3f} %; a "
            f"factor of {bounds.click_rate_ratio:g} is accepted."
        )
        yield Finding("changed click rate", str(_label(new)), text)


def _missing(new: CheckedImpressions, baseline: CheckedImpressions, bounds: GateBounds) -> Iterator[Finding]:
    before = _missing_shares(baseline.statistics)
    for column, share in _missing_shares(new.statistics).items():
        if abs(share - before.get(column, share)) > bounds.missing_change:
            text = f"{_percent(share)} are missing, in the last run that passed {_percent(before[column])}."
            yield Finding("changed share of missing values", column, text)


def _label(data: CheckedImpressions) -> Any:
    roles: Any = data.record.options["impressions"]
    return roles["label"]


def _values(statistics: Statistics) -> dict[str, dict[str, float]]:
    """How often every value occurs, by column, where the statistics know all of them."""
    found = {}
    for feature in statistics.datasets[0].features:
        if feature.WhichOneof("stats") != "string_stats":
            continue
        buckets = feature.string_stats.rank_histogram.buckets
        counts = {bucket.label: bucket.sample_count for bucket in buckets}
        if counts and sum(counts.values()) >= _WHOLE * feature.string_stats.common_stats.tot_num_values:
            found[feature.path.step[0]] = counts
    return found


def _share_outside(counts: Mapping[str, float], known: Mapping[str, float] | None) -> float:
    if known is None:
        return 0.0
    return sum(count for value, count in counts.items() if value not in known) / sum(counts.values())


def _missing_shares(statistics: Statistics) -> dict[str, float]:
    found = {}
    for feature in statistics.datasets[0].features:
        kind = feature.WhichOneof("stats")
        if kind:
            common = getattr(feature, kind).common_stats
            found[feature.path.step[0]] = common.num_missing / max(1, common.num_missing + common.num_non_missing)
    return found


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
