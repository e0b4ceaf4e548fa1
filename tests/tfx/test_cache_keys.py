"""What a node is told differs with the version of the code, so that its results do not come from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from tfx_pipeline import run_settings  # noqa: E402
from tfx_pipeline.parquet_example_gen.executor import _flags  # noqa: E402
from tfx_pipeline.pipeline import all_nodes  # noqa: E402

OWN_CODE = {"ParquetExampleGen", "Transform", "Tuner", "Trainer", "Evaluator", "GoldenReplay"}


def test_nodes_that_run_code_of_ours_are_told_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log.parquet"
    pq.write_table(pa.table({"session_id": [1, 1], "item_id": [1, 2], "timestamp": [1, 2]}), log)
    conversion = {"input": (str(log),), "valid_days": 1.0}
    told: list[dict[str, str]] = []
    for version in ("one", "one", "other"):
        monkeypatch.setattr(run_settings, "code_version", lambda version=version: version)
        settings = run_settings.make_settings(root=tmp_path, conversion=conversion, model="gru4rec", tune=2)
        nodes: dict[str, Any] = {node.id: node for node in all_nodes(settings)}
        told.append({name: str(nodes[name].exec_properties) for name in OWN_CODE})
        flags = _flags(nodes["ParquetExampleGen"].exec_properties)
        assert flags == {"output": "examples", "input": (str(log),), "valid_days": 1.0}
    assert told[0] == told[1]
    assert {name for name in OWN_CODE if told[0][name] != told[2][name]} == OWN_CODE
