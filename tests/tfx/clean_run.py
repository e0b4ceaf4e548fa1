"""The data half of the pipeline on a clean log, by which other logs are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.tfx.in_process import run_nodes
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds
from tfx_pipeline.data_nodes import data_nodes
from tfx_pipeline.features import TransformSettings


@dataclass
class CleanRun:
    """A run of all data nodes on a clean log, and what `tfrec.convert` makes of the same log.

    Attributes:
        root: Directory of the pipeline.
        settings: Settings of the nodes by the directory of the pipeline and the file of a log.
        made: Output artifacts by node and key.
        local: The dataset of `tfrec.convert`.
    """

    root: Path
    settings: Callable[[Path, Path], Any]
    made: dict[str, dict[str, Any]]
    local: Any

    def judge(self, log: pa.Table, folder: Path) -> None:
        """Runs the nodes up to the gate on another log, after this run."""
        pq.write_table(log, folder / "log.parquet")
        nodes, _ = data_nodes(self.settings(self.root, folder / "log.parquet"))
        run_nodes(nodes[: place_of(nodes, "AnomalyGate") + 1], folder / "artifacts")

    def transformed(self) -> dict[str, str]:
        uri = self.made["Transform"]["transformed_examples"].uri
        return {split: f"{uri}/Split-{split}" for split in self.local.splits}

    @property
    def graph(self) -> str:
        uri: str = self.made["Transform"]["transform_graph"].uri
        return uri


def data_settings(root: Path, conversion: dict[str, Any], categories: tuple[str, ...] = ()) -> Any:
    """Returns what the data nodes are told."""
    return SimpleNamespace(
        root=root,
        conversion=conversion,
        transform=TransformSettings(categories=categories),
        anomalies=GateBounds(),
        occasion="",
    )


def place_of(nodes: list[Any], name: str) -> int:
    """Returns the number of a node among others."""
    return [node.id for node in nodes].index(name)
