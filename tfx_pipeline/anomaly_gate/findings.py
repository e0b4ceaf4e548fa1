"""What is wrong with data, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from tfrec.data.conversion_notes import time_warnings
from tfrec.data.manifest import Manifest
from tfx_pipeline.anomaly_gate.checked_data import CheckedData
from tfx_pipeline.anomaly_gate.checked_impressions import CheckedImpressions
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds
from tfx_pipeline.conversion_record import Record
from tfx_pipeline.features import ITEM, TIMESTAMP, USER, USER_ID

_HARDLY = 0.01


@dataclass(frozen=True)
class Finding:
    """One anomaly.

    Attributes:
        name: What kind of anomaly it is.
        column: Column of the log.
        text: What was found, and what was expected.
    """

    name: str
    column: str
    text: str

    def __str__(self) -> str:
        return f"{self.name} in column `{self.column}`: {self.text}"


def schema_findings(split: str, found: anomalies_pb2.Anomalies, record: Record) -> Iterator[Finding]:
    """Yields what ExampleValidator found in a split, and what comparisons of TFDV find."""
    if found.HasField("dataset_anomaly_info"):
        yield Finding(f"{split}: data set", "(all)", found.dataset_anomaly_info.description)
    for feature, info in sorted(found.anomaly_info.items()):
        for reason in info.reason:
            name = anomalies_pb2.AnomalyInfo.Type.Name(reason.type).lower().replace("_", " ")
            yield Finding(
                f"{split}: {reason.short_description or name}", log_column(feature, record), reason.description
            )


def comparison_findings(
    schema: schema_pb2.Schema,
    new: CheckedData | CheckedImpressions,
    baseline: CheckedData | CheckedImpressions | None,
    later: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList],
) -> Iterator[Finding]:
    """Yields drift since the last run that passed, and skew between training and later splits, by the schema.

    Args:
        schema: With `drift_comparator` and `skew_comparator`.
        new: The data.
        baseline: Those of the last run that passed.
        later: Statistics of valid and test.
    """
    import tensorflow_data_validation as tfdv

    known = set(schema_anomalies(new.statistics, schema))
    if baseline is not None:
        found = tfdv.validate_statistics(new.statistics, schema, previous_statistics=baseline.statistics)
        yield from _comparisons("drift since the last run", found, known, new.record)
    for split, statistics in later.items():
        found = tfdv.validate_statistics(new.statistics, schema, serving_statistics=statistics)
        yield from _comparisons(f"skew between train and {split}", found, known, new.record)


def schema_anomalies(statistics: statistics_pb2.DatasetFeatureStatisticsList, schema: schema_pb2.Schema) -> list[str]:
    """Returns the descriptions of what differs from the schema without any comparison."""
    import tensorflow_data_validation as tfdv

    found = tfdv.validate_statistics(statistics, schema)
    return [reason.description for info in found.anomaly_info.values() for reason in info.reason]


def _comparisons(name: str, found: anomalies_pb2.Anomalies, known: set[str], record: Record) -> Iterator[Finding]:
    for feature, info in sorted(found.anomaly_info.items()):
        for reason in info.reason:
            if reason.description not in known:
                yield Finding(name, log_column(feature, record), reason.description)


def item_findings(new: CheckedData, baseline: CheckedData | None, bounds: GateBounds) -> Iterator[Finding]:
    """Yields floods of items that nobody has seen before."""
    record, column = new.record, new.record.columns.item
    if baseline is not None:
        if new.items.id_type != baseline.items.id_type:
            text = f"ids are {new.items.id_type}, in the last run that passed {baseline.items.id_type}."
            yield Finding("type change", column, text)
        else:
            known = baseline.items.lookup(new.items.ids) > 1  # [items]
            counts = new.items.counts[2:]
            share = float(counts[~known].sum() / counts.sum())
            if share > bounds.new_item_events:
                yield Finding(
                    "flood of new ids",
                    column,
                    f"{100 * share:.1f} % of the training events are of {int(np.sum(~known)):,} items that the last "
                    f"run that passed did not have; at most {100 * bounds.new_item_events:.1f} % are expected.",
                )
    for name, split in record.splits.items():
        if name == "train":
            continue
        dropped = split.unknown_item_events if record.split.unknown_items == "drop" else 0
        share = split.unknown_item_events / max(1, (split.own_events or split.events) + dropped)
        if share > bounds.unknown_item_events:
            yield Finding(
                "flood of new ids",
                column,
                f"{100 * share:.1f} % of the {name} events are of items without training events; at most "
                f"{100 * bounds.unknown_item_events:.1f} % are expected.",
            )


def time_findings(new: CheckedData, baseline: CheckedData | None, bounds: GateBounds) -> Iterator[Finding]:
    """Yields time that goes backwards and times that cannot be right."""
    column = new.record.columns.time
    if bounds.plausible_times:
        for text in time_warnings(new.record):
            yield Finding("implausible time", column, text)
    if baseline is None:
        return
    if new.record.last_time < baseline.record.last_time:
        yield Finding(
            "time going backwards",
            column,
            f"the last event is at {_utc(new.record.last_time)}, in the last run that passed it was at "
            f"{_utc(baseline.record.last_time)}.",
        )
    before, now = (data.order["reversals"] / max(1, data.order["steps"]) for data in (baseline, new))
    if before <= _HARDLY and now > bounds.row_reversals:
        yield Finding(
            "time going backwards",
            column,
            f"{100 * now:.1f} % of the rows are earlier than the row before of the same user or session, in the last "
            f"run that passed {100 * before:.1f} %.",
        )


def log_column(feature: str, record: Record) -> str:
    """Returns the column of the log that a feature of raw examples is made of."""
    if not isinstance(record, Manifest):
        return feature  # raw impressions have the columns of the log
    columns = record.columns
    owner = columns.user or columns.session or feature
    return {ITEM: columns.item, TIMESTAMP: columns.time, USER: owner, USER_ID: owner}.get(feature, feature)


def report(findings: Sequence[Finding]) -> str:
    """Returns all findings as text for people, one per line."""
    return "\n".join(f"{number}. {finding}" for number, finding in enumerate(findings, start=1))


def _utc(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
