"""What AnomalyGate does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx import types
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils

from tfrec.data.beam import job_files
from tfrec.data.impressions.impression_manifest import ImpressionManifest
from tfrec.errors import DataError
from tfx_pipeline.anomaly_gate.checked_data import CheckedData
from tfx_pipeline.anomaly_gate.checked_impressions import CheckedImpressions
from tfx_pipeline.anomaly_gate.findings import (
    Finding,
    comparison_findings,
    item_findings,
    report,
    schema_findings,
    time_findings,
)
from tfx_pipeline.anomaly_gate.gate_bounds import GateBounds
from tfx_pipeline.anomaly_gate.impression_findings import impression_findings
from tfx_pipeline.conversion_record import RECORD_NAME, parse_record

_DIFF_FILE = "SchemaDiff.pb"


class Executor(base_executor.BaseExecutor):  # type: ignore[misc]
    """Stops the run on any anomaly; otherwise remembers the data, to judge later ones by them."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Judges the data.

        Raises:
            DataError: There are anomalies; the message lists all of them with their columns.
        """
        del output_dict
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        anomalies = artifact_utils.get_single_instance(input_dict["anomalies"])
        schema_uri = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_uri))
        bounds = GateBounds.from_json(exec_properties["bounds"])
        found = {
            split: stats_artifact_utils.load_statistics(statistics, split).proto()
            for split in artifact_utils.decode_split_names(statistics.split_names)
        }
        new, baseline = _checked(examples.uri, found["train"], exec_properties["baseline"])
        findings: list[Finding] = []
        for split in artifact_utils.decode_split_names(anomalies.split_names):
            content = Path(artifact_utils.get_split_uri([anomalies], split), _DIFF_FILE).read_bytes()
            findings += schema_findings(split, anomalies_pb2.Anomalies.FromString(content), new.record)
        later = {split: statistics for split, statistics in found.items() if split != "train"}
        findings += comparison_findings(schema, new, baseline, later)
        if isinstance(new, CheckedImpressions):
            findings += impression_findings(new, baseline, later, bounds)
        else:
            findings += item_findings(new, baseline, bounds)
            findings += time_findings(new, baseline, bounds)
        if findings:
            text = report(findings)
            place = exec_properties["report"]
            job_files.write_bytes(place, f"{text}\n".encode())
            raise DataError(
                f"The data have {len(findings)} anomalies:\n{text}\n",
                file=", ".join(source.path for source in new.record.sources[:3]),
                remedy="Nothing was trained. Correct the log; or, when it is right, change the schema or the bounds of "
                f"the gate. To accept it as the new normal, remove `{exec_properties['baseline']}`. Report: {place}",
            )
        new.save(exec_properties["baseline"])


def _checked(examples: str, statistics: statistics_pb2.DatasetFeatureStatisticsList, baseline: str) -> tuple[Any, Any]:
    """The data, and those of the last run that passed, or None: `CheckedData` or `CheckedImpressions`."""
    path = job_files.join(examples, RECORD_NAME)
    record = parse_record(job_files.read_bytes(path), file=path)
    if isinstance(record, ImpressionManifest):
        return CheckedImpressions(record, statistics), CheckedImpressions.load(baseline)
    return CheckedData.of_examples(examples, statistics), CheckedData.load(baseline)
