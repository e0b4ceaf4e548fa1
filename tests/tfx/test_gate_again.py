"""Data nodes run again with metadata and cache: an edited schema counts, and the gate judges every run."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

pytestmark = pytest.mark.tfx
pytest.importorskip("tfx", reason="TFX is not installed", exc_type=ImportError)

from rich.console import Console  # noqa: E402
from tfx.orchestration.metadata import sqlite_metadata_connection_config  # noqa: E402
from tfx.orchestration.pipeline import Pipeline  # noqa: E402

from tests.tfx.in_process import BEAM  # noqa: E402
from tfrec.data.synthetic import generate_clickstream  # noqa: E402
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds  # noqa: E402
from tfx_pipeline.data_nodes import data_nodes  # noqa: E402
from tfx_pipeline.features import TransformSettings  # noqa: E402
from tfx_pipeline.node_runner import NodeError, NodeRunner  # noqa: E402

LOG = generate_clickstream(200, 60, 6, seed=5)


def _run(root: Path, log: Path) -> dict[str, str]:
    """Runs the data nodes before Transform as the command does; returns their states."""
    settings = SimpleNamespace(
        root=root,
        conversion={"input": [str(log)], "session_col": "session_id"},
        transform=TransformSettings(),
        anomalies=GateBounds(),
        occasion=datetime.datetime.now(datetime.timezone.utc).isoformat(),
    )
    nodes, _ = data_nodes(settings)
    pipeline = Pipeline(
        pipeline_name="again",
        pipeline_root=str(root / "artifacts"),
        components=nodes[:-1],
        enable_cache=True,
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.sqlite")),
        beam_pipeline_args=BEAM,
    )
    runner = NodeRunner(Console(quiet=True))
    runner.run(pipeline)
    return {run.node: run.state for run in runner.nodes}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A pipeline whose first log passed."""
    found: Path = tmp_path_factory.mktemp("again")
    pq.write_table(LOG, found / "log.parquet")
    _run(found, found / "log.parquet")
    return found


def test_a_run_that_its_schema_stopped_passes_when_the_schema_is_edited(root):
    file = root / "schema" / "schema.pbtxt"
    right = file.read_text()
    strict = text_format.Parse(right, schema_pb2.Schema())
    (item,) = (feature for feature in strict.feature if feature.name == "item")
    item.value_count.min = item.value_count.max = 2
    file.write_text(text_format.MessageToString(strict))
    with pytest.raises(NodeError, match="Superfluous values in column `item_id`"):
        _run(root, root / "log.parquet")
    file.write_text(right)
    assert _run(root, root / "log.parquet")["ParquetExampleGen"] == "cached"


def test_the_gate_judges_every_run_by_the_last_that_passed(root):
    record = root / "checked_data" / "conversion.json"
    passed = json.loads(record.read_text())
    record.write_text(json.dumps(passed | {"last_time": passed["last_time"] + 86_400_000}))  # as of a later log
    with pytest.raises(NodeError, match="time going backwards"):
        _run(root, root / "log.parquet")
    (root / "checked_data" / "FeatureStats.pb").unlink()  # the normal is to be forgotten
    states = _run(root, root / "log.parquet")
    assert states.pop("AnomalyGate") == "done"
    assert set(states.values()) == {"cached"}  # above all the schema that Transform reads
    assert json.loads(record.read_text()) == passed
