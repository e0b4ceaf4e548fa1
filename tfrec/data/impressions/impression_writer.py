"""Writes the rows of one split into shards, each whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.impressions.impression_manifest import ImpressionShard

_READ_BYTES = 1 << 20


class ImpressionWriter:
    """Writer of one split that remembers finished shards.

    Args:
        root: Directory that becomes the dataset.
        split: Name of the split.
        bounds: Where shards begin, and the end (`shard_bounds`).
        compression: `none` or `gzip`.
        journal: File with one JSON line per finished shard; read first, so that they are not written again.
    """

    def __init__(self, root: Path, split: str, bounds: list[int], compression: str, journal: Path) -> None:
        self._root = root
        self._split = split
        self._bounds = bounds
        self._suffix = ".tfrecord.gz" if compression == "gzip" else ".tfrecord"
        self._options = tf.io.TFRecordOptions(compression_type="GZIP" if compression == "gzip" else "")
        self._journal = journal
        self._writer: tf.io.TFRecordWriter | None = None
        self._clicks = 0.0
        self.shards: list[ImpressionShard] = []
        if journal.exists():
            lines = [line for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
            self.shards = [ImpressionShard.model_validate_json(line) for line in lines]
            journal.write_text("".join(lines))
        self._rank = bounds[len(self.shards)]
        (root / split).mkdir(exist_ok=True)

    @property
    def finished_rows(self) -> int:
        """Rows of the split that are in finished shards."""
        return self._bounds[len(self.shards)]

    def write(self, examples: list[bytes], labels: npt.NDArray[np.float32]) -> None:
        """Appends rows: serialized examples and their labels `[rows]`."""
        start = 0
        while start < len(examples):
            if self._writer is None:
                self._writer = tf.io.TFRecordWriter(str(self._path(".tmp")), self._options)
                self._clicks = 0.0
            end = self._bounds[len(self.shards) + 1]
            stop = min(len(examples), start + end - self._rank)
            write = self._writer.write
            for example in examples[start:stop]:
                write(example)
            self._clicks += float(labels[start:stop].sum())
            self._rank += stop - start
            start = stop
            if self._rank == end:
                self._writer.close()
                self._writer = None
                self._finish()

    def close(self) -> None:
        """Leaves an unfinished shard behind; a resumed conversion writes it again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _path(self, ending: str = "") -> Path:
        count = len(self._bounds) - 1
        return self._root / self._split / f"part-{len(self.shards):05d}-of-{count:05d}{self._suffix}{ending}"

    def _finish(self) -> None:
        temporary, path = self._path(".tmp"), self._path()
        number = len(self.shards)
        temporary.rename(path)
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
                size += len(block)
        shard = ImpressionShard(
            path=str(path.relative_to(self._root)),
            rows=self._bounds[number + 1] - self._bounds[number],
            clicks=round(self._clicks),
            bytes=size,
            sha256=digest.hexdigest(),
        )
        with self._journal.open("a") as journal:
            journal.write(shard.model_dump_json() + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.shards.append(shard)
