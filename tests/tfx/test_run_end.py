"""How a run ends: exit code and reasons, wherever it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from tfrec.command import run_command  # noqa: E402
from tfx_pipeline import run_whole  # noqa: E402
from tfx_pipeline.blessing import Decision  # noqa: E402
from tfx_pipeline.lineage import Lineage  # noqa: E402
from tfx_pipeline.run import EXIT_BLOCKED, main  # noqa: E402
from tfx_pipeline.run_facts import RunFacts  # noqa: E402

_VALUES = {"candidate": {"targets": 9.0, "recall@20": 0.1, "mrr@20": 0.1}}
SLICES = {"all": _VALUES, "user_history:cold": _VALUES}
YES, NO = Decision(True, [], SLICES), Decision(False, ["recall@20 of all targets is too low"], SLICES)


@pytest.mark.parametrize(
    ("left", "code", "reason"),
    [
        ({}, 0, None),
        ({"decision": YES}, 0, None),
        ({"decision": NO}, EXIT_BLOCKED, "too low"),
        ({"decision": YES, "replay": {"blessed": True, "requests": 1}}, 0, None),
        ({"decision": YES, "replay": {"blessed": False, "reason": "2 answers differ"}}, EXIT_BLOCKED, "answers differ"),
        ({"push": {"pushed": True, "path": "serving/1", "version": 1}}, 0, None),
        ({"push": {"pushed": False, "reason": "it was rolled back"}}, EXIT_BLOCKED, "rolled back"),
    ],
)
def test_exit_code(
    left: dict[str, Any],
    code: int,
    reason: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of runs whose nodes are replaced by what they would leave."""
    log = tmp_path / "log.parquet"
    pq.write_table(pa.table({"session_id": [1, 1], "item_id": [1, 2], "timestamp": [1, 2]}), log)

    class NoNodes:
        def __init__(self, console: Any) -> None:
            self.nodes: list[Any] = []

        def run(self, pipeline: Any, run_options: Any) -> None:
            assert pipeline.components

    def gather(settings: Any, runner: Any, seconds: float, failure: Any) -> RunFacts:
        return RunFacts(settings, Lineage("now", []), runner.nodes, seconds, failure, **left)

    monkeypatch.setattr(run_whole, "NodeRunner", NoNodes)
    monkeypatch.setattr(run_whole, "gather", gather)
    flags = ["--data", str(log), "--root", str(tmp_path / "shop"), "--to", "GoldenReplay", "--json"]
    assert run_command(main, flags, prog="run") == code
    document = json.loads(capsys.readouterr().out)
    assert document["blocked"] == (code == EXIT_BLOCKED)
    assert (reason is None) == (document["reasons"] == [])
    assert (reason or "") in " ".join(document["reasons"])
    assert document["report"] is not None
