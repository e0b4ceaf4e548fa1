"""Statistics of the raw examples, and what the validator found in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from tfrec.evaluation.report.blocks import Block, Cell, Notice, Row, Section, Table
from tfrec.evaluation.report.numbers import count_text, time_text
from tfx_pipeline.features import TIMESTAMP
from tfx_pipeline.run_facts import RunFacts

GATE = "AnomalyGate"
_NUMBERED = re.compile(r"^\d+\. .*$", re.MULTILINE)
_SPLITS = ("train", "valid", "test")


def statistics_section(facts: RunFacts) -> Section | None:
    """Returns one table per split with a row per feature, or None before StatisticsGen."""
    tables: list[Block] = []
    for split, path in _split_files(facts, "StatisticsGen", "FeatureStats.pb"):
        found = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
        for dataset in found.datasets:
            rows = tuple(_feature_row(feature, dataset.num_examples) for feature in dataset.features)
            columns = ("missing", "values per example", "distinct", "mean", "least", "greatest")
            tables.append(Table(f"{split}: {count_text(dataset.num_examples)} raw examples", "feature", columns, rows))
    return Section("statistics", "Statistics", tuple(tables)) if tables else None


def anomalies_section(facts: RunFacts) -> Section | None:
    """Returns what differs from the schema per split, or None before ExampleValidator."""
    blocks: list[Block] = []
    for split, path in _split_files(facts, "ExampleValidator", "SchemaDiff.pb"):
        found = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        details = [*((name, info.description) for name, info in sorted(found.anomaly_info.items()))]
        if found.HasField("dataset_anomaly_info"):
            details.append(("data set", found.dataset_anomaly_info.description))
        blocks += [Notice("alarm", "anomaly", f"{split}: {name}", text) for name, text in details]
        if not details:
            blocks.append(Notice("fine", "checked", f"{split}: as the schema says"))
    if facts.failure is not None and facts.failure.node == GATE:
        blocks += [Notice("alarm", "stopped", line) for line in _NUMBERED.findall(str(facts.failure))]
    return Section("anomalies", "Anomalies", tuple(blocks)) if blocks else None


def _split_files(facts: RunFacts, node: str, name: str) -> Iterator[tuple[str, Path]]:
    """Yields splits and their files of the last artifact of a node, train first."""
    found: dict[str, Path] = {}
    for output in facts.lineage.outputs(node):
        for path in Path(output.uri).glob(f"Split-*/{name}"):
            found[path.parent.name.removeprefix("Split-")] = path
    yield from ((split, found[split]) for split in sorted(found, key=_place))


def _place(split: str) -> tuple[int, str]:
    return (_SPLITS.index(split) if split in _SPLITS else len(_SPLITS), split)


def _feature_row(feature: Any, examples: int) -> Row:
    kind = feature.WhichOneof("stats")
    stats: Any = getattr(feature, kind) if kind else None
    common = stats.common_stats if stats is not None else None
    missing = "" if common is None or not examples else f"{100 * common.num_missing / examples:.1f} %"
    values = "" if common is None else f"{common.avg_num_values:.2f}"
    numbers: tuple[str, ...] = ("", "", "")
    if kind == "num_stats" and not feature.path.step[0].endswith("_id"):
        shown = time_text if feature.path.step[0] == TIMESTAMP else "{:,.6g}".format
        numbers = tuple(shown(value) for value in (stats.mean, stats.min, stats.max))
    unique = getattr(stats, "unique", 0)
    cells = (missing, values, count_text(unique) if unique else "", *numbers)
    return Row(".".join(feature.path.step) or feature.name, tuple(map(Cell, cells)))
