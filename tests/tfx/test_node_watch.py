"""What is told of a node while it works."""

from __future__ import annotations

import io
import itertools
import queue
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from tfx.orchestration.metadata import sqlite_metadata_connection_config  # noqa: E402
from tfx.orchestration.pipeline import Pipeline  # noqa: E402

from tfrec.config.impression_schema import ImpressionSchema  # noqa: E402
from tfx_pipeline import node_watch  # noqa: E402
from tfx_pipeline.data_nodes import schema_importer  # noqa: E402
from tfx_pipeline.impressions.field_analyzer import FitRows  # noqa: E402
from tfx_pipeline.node_runner import NodeRunner  # noqa: E402
from tfx_pipeline.node_watch import NodeWatch  # noqa: E402

PATIENCE = 60.0
ROLES = ImpressionSchema.model_validate({"categorical": ["city"], "label": "clicked"})


def test_rows_that_are_learned_and_bytes_that_are_written(tmp_path: Path) -> None:
    (tmp_path / "earlier").write_bytes(bytes(7_000_000))
    said: queue.Queue[str] = queue.Queue()
    fit = FitRows(ROLES, 0)
    fit.add_input(fit.create_accumulator(), (np.array([b"a", b"b"], object),))  # before the node began
    with NodeWatch(tmp_path, said.put, moments=[0.01]) as watch:
        assert said.get(timeout=PATIENCE).endswith(" s: nothing written yet")
        fitted = fit.create_accumulator()
        for _ in range(3):
            fitted = fit.add_input(fitted, (np.array([b"a", b""] * 400, object),))
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "part").write_bytes(bytes(2_500_000))
        expected = "2,400 training rows counted, 2.5 MB written"
        while not said.get(timeout=PATIENCE).endswith(expected):
            pass
    assert not watch._thread.is_alive()
    assert fit.extract_output(fitted).vocabularies["city"].counts[2:].tolist() == [1200]


def test_lines_come_less_often_and_then_at_equal_distances() -> None:
    assert list(itertools.islice(node_watch._moments([10.0, 30.0, 60.0]), 6)) == [10, 30, 60, 120, 180, 240]


def test_a_node_is_told_of_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text("")
    console = Console(file=io.StringIO(), width=200)
    seen: list[str] = []

    def launch(*_: Any) -> None:
        """A node that writes 3 MB and ends as soon as they were told of."""
        folder = tmp_path / "artifacts" / "SchemaImporter"
        folder.mkdir(parents=True)
        (folder / "part").write_bytes(bytes(3_000_000))
        ends = time.monotonic() + PATIENCE
        while "3.0 MB written" not in console.file.getvalue() and time.monotonic() < ends:  # type: ignore[attr-defined]
            time.sleep(0.01)
        seen.append(console.file.getvalue())  # type: ignore[attr-defined]

    monkeypatch.setattr(NodeRunner, "_launch", launch)
    monkeypatch.setattr(node_watch, "MOMENTS", (0.01,))
    pipeline = Pipeline(
        pipeline_name="watched",
        pipeline_root=str(tmp_path / "artifacts"),
        components=[schema_importer(tmp_path / "schema")],
        metadata_connection_config=sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite")),
    )
    NodeRunner(console).run(pipeline)
    assert re.search(r"  \[1/1\] SchemaImporter \.\.\. \d+ s: 3\.0 MB written\n", seen[0])
