"""The report of a run that was stopped by its data: anomalies named, later parts left out."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from rich.console import Console  # noqa: E402
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2  # noqa: E402

from tfrec.errors import ConfigError, DataError  # noqa: E402
from tfx_pipeline.lineage import ArtifactRecord, ExecutionRecord, Lineage, artifact_digest  # noqa: E402
from tfx_pipeline.node_runner import NodeError, NodeRun  # noqa: E402
from tfx_pipeline.run_facts import RunFacts  # noqa: E402
from tfx_pipeline.run_report import write_run_report  # noqa: E402
from tfx_pipeline.run_settings import make_settings  # noqa: E402
from tfx_pipeline.run_whole import _summary as print_summary  # noqa: E402


def _statistics(folder: Path) -> None:
    found = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add(num_examples=200)
    feature = dataset.features.add()
    feature.path.step.append("timestamp")
    feature.num_stats.common_stats.num_missing = 50
    feature.num_stats.mean = feature.num_stats.min = feature.num_stats.max = 1_600_000_000_000  # 2020-09-13 12:26 UTC
    folder.mkdir(parents=True)
    (folder / "FeatureStats.pb").write_bytes(found.SerializeToString())


def _anomalies(folder: Path) -> None:
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["item"].description = "Expected data of type INT but got BYTES"
    folder.mkdir(parents=True)
    (folder / "SchemaDiff.pb").write_bytes(found.SerializeToString())


def test_a_run_that_its_data_stopped(tmp_path: Path) -> None:
    _statistics(tmp_path / "statistics" / "Split-train")
    _anomalies(tmp_path / "anomalies" / "Split-train")
    outputs = [
        ArtifactRecord(name, number, kind, str(tmp_path / name), {})
        for number, (name, kind) in enumerate([("statistics", "ExampleStatistics"), ("anomalies", "ExampleAnomalies")])
    ]
    executions = [
        ExecutionRecord("StatisticsGen", "COMPLETE", [], outputs[:1]),
        ExecutionRecord("ExampleValidator", "COMPLETE", outputs[:1], outputs[1:]),
    ]
    cause = DataError("The data have 1 anomalies:\n1. flood of new ids in column `item_id`: 62 % of the events")
    facts = RunFacts(
        settings=make_settings(root=tmp_path, conversion={"input": ("log.parquet",)}, model="gru4rec"),
        lineage=Lineage("now", executions),
        nodes=[NodeRun("StatisticsGen", "done", 1.0, 1), NodeRun("AnomalyGate", "failed", 0.1)],
        seconds=2.0,
        failure=NodeError("AnomalyGate", cause),
    )
    assert facts.failure is not None
    assert facts.failure.exit_code == cause.exit_code == 3
    write_run_report(facts, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "stopped at AnomalyGate" in html
    assert "1. flood of new ids" in html
    assert "Expected data of type INT but got BYTES" in html
    assert "25.0 %" in html
    assert "2020-09-13 12:26" in html
    assert 'id="evaluation"' not in html
    assert str(artifact_digest(str(tmp_path / "statistics"))) in html


def test_the_checksum_of_an_artifact_is_of_names_and_contents(tmp_path: Path) -> None:
    for name in ("one", "other", "renamed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("b" if name == "renamed" else "a")).write_text("same")
    digests = [artifact_digest(str(tmp_path / name)) for name in ("one", "other", "renamed")]
    assert digests[0] == digests[1] != digests[2]
    assert artifact_digest(str(tmp_path / "missing")) is None


def test_secrets_are_not_in_the_report(tmp_path: Path) -> None:
    given = ["--s3_secret_access_key=hunter2", "--azure_connection_string=hunter2", "--flink_master=h:8081"]
    given += ["--artifact_endpoint=http://ann:hunter2@h:1/x", "--s3_access_key_id=hunter2", "--parallelism=4"]
    settings = make_settings(
        root=tmp_path, conversion={"input": ("log.parquet",)}, model="gru4rec", runner="FlinkRunner", beam=given
    )
    write_run_report(RunFacts(settings, Lineage("now", []), [], 1.0), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "hunter2" not in html
    for shown in ("--s3_secret_access_key=***", "--azure_connection_string=***", "--flink_master=h:8081", "***@h:1/x"):
        assert shown in html
    assert "--parallelism=4" in html


def test_a_value_given_as_an_argument_of_its_own_is_refused_and_not_repeated(tmp_path: Path) -> None:
    given = ["--azure_connection_string", "hunter2"]
    with pytest.raises(ConfigError, match="does not begin with `--`") as refused:
        make_settings(
            root=tmp_path, conversion={"input": ("log.parquet",)}, model="gru4rec", runner="FlinkRunner", beam=given
        )
    assert "hunter2" not in str(refused.value)


def test_the_model_of_a_run_that_began_after_the_trainer(tmp_path: Path) -> None:
    settings = make_settings(root=tmp_path, conversion={"input": ("log.parquet",)}, model="sasrec")
    push = {"pushed": True, "model": "gru4rec", "path": "serving/1", "version": 1, "new": True}
    facts = RunFacts(settings, Lineage("now", []), [], 1.0, push=push)
    write_run_report(facts, tmp_path / "report.html")
    assert "gru4rec: pushed as version 1" in (tmp_path / "report.html").read_text(encoding="utf-8")
    said = StringIO()
    print_summary(settings, facts, None, Console(file=said, width=200))
    assert "`--model sasrec` had no effect" in said.getvalue()
