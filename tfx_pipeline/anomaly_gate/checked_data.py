"""What the gate remembers of data: to judge them, and to judge later data by them."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2

from tfrec.data.beam import job_files
from tfrec.data.manifest import Manifest
from tfrec.data.vocabulary import Vocabulary
from tfx_pipeline.conversion_record import ITEMS_NAME, ORDER_NAME, RECORD_NAME

STATISTICS = "FeatureStats.pb"


@dataclass(frozen=True)
class CheckedData:
    """The data of one run.

    Attributes:
        record: Manifest of the conversion.
        items: Training items with their counts.
        order: `steps` and `reversals` of the rows, see `row_order`.
        statistics: Statistics of the training split.
    """

    record: Manifest
    items: Vocabulary
    order: Mapping[str, Any]
    statistics: statistics_pb2.DatasetFeatureStatisticsList

    @classmethod
    def of_examples(cls, examples: str, statistics: statistics_pb2.DatasetFeatureStatisticsList) -> CheckedData:
        """Reads what ParquetExampleGen has written.

        Args:
            examples: URI of the raw examples.
            statistics: Statistics of their training split.
        """
        record, items = job_files.join(examples, RECORD_NAME), job_files.join(examples, ITEMS_NAME)
        return cls(
            Manifest.from_json(job_files.read_bytes(record), file=record),
            Vocabulary.from_parquet(job_files.read_bytes(items), file=items),
            job_files.read_json(job_files.join(examples, ORDER_NAME)),
            statistics,
        )

    @classmethod
    def load(cls, directory: str) -> CheckedData | None:
        """Reads what `save` has written; None where there is nothing yet."""
        statistics = job_files.join(directory, STATISTICS)
        if not job_files.exists(statistics):
            return None
        message = statistics_pb2.DatasetFeatureStatisticsList.FromString(job_files.read_bytes(statistics))
        return cls.of_examples(directory, message)

    def save(self, directory: str) -> None:
        """Replaces what is in a local directory, at once."""
        files = {
            RECORD_NAME: self.record.to_json().encode(),
            ITEMS_NAME: self.items.to_parquet(),
            ORDER_NAME: json.dumps(dict(self.order)).encode(),
            STATISTICS: self.statistics.SerializeToString(),
        }
        replace_files(directory, files)


def replace_files(directory: str, files: Mapping[str, bytes]) -> None:
    """Replaces everything in a local directory, at once.

    Args:
        directory: The directory.
        files: Contents by name.
    """
    target = Path(directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    new.mkdir()
    for name, content in files.items():
        (new / name).write_bytes(content)
    old = new.with_name(f"{new.name}.old")
    if target.exists():
        target.replace(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
