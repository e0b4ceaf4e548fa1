"""The shard files of one split: each whole or not at all, and noted in a journal when it is finished."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Generic, TypeVar

import tensorflow as tf

from tfrec.data.impressions.impression_manifest import ImpressionShard
from tfrec.data.manifest import ShardRecord
from tfrec.files import size_and_sha256

_Record = TypeVar("_Record", ShardRecord, ImpressionShard)


class ShardFiles(Generic[_Record]):
    """Opens the shards of a split one after another and remembers finished ones.

    Args:
        root: Directory that becomes the dataset.
        split: Name of the split; a directory of that name is made.
        bounds: From `shard_bounds`.
        compression: `none` or `gzip`.
        journal: File with one JSON line per finished shard; read first, so that finished shards are not written again.
        record: Class of the records.
    """

    def __init__(
        self, root: Path, split: str, bounds: list[int], compression: str, journal: Path, record: type[_Record]
    ) -> None:
        self._root = root
        self._split = split
        self._bounds = bounds
        self._suffix = ".tfrecord.gz" if compression == "gzip" else ".tfrecord"
        self._options = tf.io.TFRecordOptions(compression_type="GZIP" if compression == "gzip" else "")
        self._journal = journal
        self._record: type[_Record] = record
        self.records: list[_Record] = []
        if journal.exists():
            lines = [line for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
            self.records = [record.model_validate_json(line) for line in lines]
            journal.write_text("".join(lines))
        (root / split).mkdir(exist_ok=True)

    @property
    def first(self) -> int:
        """Where the first shard begins that is not finished."""
        return self._bounds[len(self.records)]

    @property
    def end(self) -> int:
        """Where that shard ends."""
        return self._bounds[len(self.records) + 1]

    @property
    def done(self) -> bool:
        """Whether all shards are finished."""
        return len(self.records) == len(self._bounds) - 1

    def open(self) -> tf.io.TFRecordWriter:
        """Opens the next shard under a temporary name."""
        return tf.io.TFRecordWriter(str(self._path(".tmp")), self._options)

    def finish(self, **counts: int) -> None:
        """Renames the shard just closed to its final name and notes it in the journal.

        Args:
            **counts: What the record says besides path, size and checksum.
        """
        path = self._path()
        self._path(".tmp").rename(path)
        with path.open("rb") as file:
            size, digest = size_and_sha256(file)
        facts = {"path": str(path.relative_to(self._root)), "bytes": size, "sha256": digest, **counts}
        record = self._record.model_validate(facts)
        with self._journal.open("a") as journal:
            journal.write(json.dumps(record.model_dump()) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.records.append(record)

    def _path(self, ending: str = "") -> Path:
        count = len(self._bounds) - 1
        return self._root / self._split / f"part-{len(self.records):05d}-of-{count:05d}{self._suffix}{ending}"
