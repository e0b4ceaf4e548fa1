"""Writes the rows of one split into shards, each whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.impressions.impression_manifest import ImpressionShard
from tfrec.data.shard_files import ShardFiles


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
        self._files = ShardFiles(root, split, bounds, compression, journal, ImpressionShard)
        self._writer: tf.io.TFRecordWriter | None = None
        self._clicks = 0.0
        self._rank = self._files.first

    @property
    def shards(self) -> list[ImpressionShard]:
        """Finished shards."""
        return self._files.records

    @property
    def finished_rows(self) -> int:
        """Rows of the split that are in finished shards."""
        return self._files.first

    def write(self, examples: list[bytes], labels: npt.NDArray[np.float32]) -> None:
        """Appends rows: serialized examples and their labels `[rows]`."""
        start = 0
        while start < len(examples):
            if self._writer is None:
                self._writer = self._files.open()
                self._clicks = 0.0
            end = self._files.end
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
                self._files.finish(rows=end - self._files.first, clicks=round(self._clicks))

    def close(self) -> None:
        """Leaves an unfinished shard behind; a resumed conversion writes it again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
