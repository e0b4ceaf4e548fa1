"""What the gate remembers of impressions."""

from __future__ import annotations

from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import statistics_pb2

from tfrec.data.beam import job_files
from tfrec.data.impressions.impression_manifest import ImpressionManifest
from tfx_pipeline.anomaly_gate.checked_data import STATISTICS, replace_files
from tfx_pipeline.conversion_record import RECORD_NAME


@dataclass(frozen=True)
class CheckedImpressions:
    """The data of one run.

    Attributes:
        record: Manifest of the conversion.
        statistics: Statistics of the training split.
    """

    record: ImpressionManifest
    statistics: statistics_pb2.DatasetFeatureStatisticsList

    @property
    def day_column(self) -> str | None:
        """Column by which rows are split: its values change by nature."""
        found = self.record.options.get("day_column")
        return None if found is None else str(found)

    @classmethod
    def load(cls, directory: str) -> CheckedImpressions | None:
        """Reads what `save` has written; None where there is nothing yet."""
        statistics, record = job_files.join(directory, STATISTICS), job_files.join(directory, RECORD_NAME)
        if not job_files.exists(statistics):
            return None
        message = statistics_pb2.DatasetFeatureStatisticsList.FromString(job_files.read_bytes(statistics))
        return cls(ImpressionManifest.from_json(job_files.read_bytes(record), file=record), message)

    def save(self, directory: str) -> None:
        """Replaces what is in a local directory, at once."""
        record = self.record.model_dump_json().encode()
        replace_files(directory, {RECORD_NAME: record, STATISTICS: self.statistics.SerializeToString()})
