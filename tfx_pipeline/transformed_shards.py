"""The transformed examples of one split: what is in them, and as shards in the order of `tfrec.convert`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from tfrec.data.manifest import ShardRecord
from tfrec.data.remote_paths import scheme_of
from tfrec.data.shard_bounds import shard_bounds
from tfrec.files import size_and_sha256
from tfx_pipeline.features import ITEM, NUM_TARGETS, TIMESTAMP, USER, USER_ID

_BATCH = 8192
_GZIP = tf.io.TFRecordOptions(compression_type="GZIP")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SplitScan:
    """What the examples of a split hold.

    Attributes:
        files: Their files.
        file_sequences: Examples per file.
        lengths: Events of each example, `[sequences]`.
        first: Time of the first event of each, milliseconds, `[sequences]`.
        last: Time of the last event of each, `[sequences]`.
        targets: Sum of `num_targets`.
        user_ids: Raw ids, int64 or binary `[sequences]`.
        counts: Events by index for each vocabulary, `[size]`.
    """

    files: list[str]
    file_sequences: list[int]
    lengths: Ints
    first: Ints
    last: Ints
    targets: int
    user_ids: pa.Array
    counts: dict[str, Ints]

    @property
    def order(self) -> Ints:
        """Positions of the examples by time of the first event, then raw id, `[sequences]`."""
        place = np.arange(len(self.first))
        table = pa.table({"first": self.first, "id": self.user_ids, "place": place})
        keys = [(name, "ascending") for name in ("first", "id", "place")]
        order: Ints = pc.sort_indices(table, sort_keys=keys).to_numpy().astype(np.int64)
        return order


def scan_split(files: Sequence[str], spec: Mapping[str, Any], sizes: Mapping[str, int]) -> SplitScan:
    """Reads the examples of a split once, in batches.

    Args:
        files: TFRecord files, gzip by their suffix.
        spec: Features as `tf.io.parse_example` takes them.
        sizes: Size of each vocabulary.
    """
    columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in ("lengths", "first", "last", "user_id")}
    counts = {name: np.zeros(size, np.int64) for name, size in sizes.items()}
    file_sequences, targets = [], 0
    for file in files:
        records = tf.data.TFRecordDataset(file, compression_type=_compression(file)).batch(_BATCH)
        sequences = 0
        for batch in records.map(lambda serialized: tf.io.parse_example(serialized, spec)):
            lengths = batch[ITEM].row_lengths().numpy()
            starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
            times = batch[TIMESTAMP].flat_values.numpy()
            columns["lengths"].append(lengths)
            columns["first"].append(times[starts[:-1]])
            columns["last"].append(times[starts[1:] - 1])
            columns["user_id"].append(batch[USER_ID].numpy())
            targets += int(batch[NUM_TARGETS].numpy().sum())
            for name in set(sizes) - {USER}:
                counts[name] += np.bincount(batch[name].flat_values.numpy(), minlength=sizes[name])
            if USER in sizes:
                counts[USER] += np.bincount(np.repeat(batch[USER].numpy(), lengths), minlength=sizes[USER])
            sequences += len(lengths)
        file_sequences.append(sequences)
    joined = {name: np.concatenate(parts) if parts else np.zeros(0, np.int64) for name, parts in columns.items()}
    user_ids = pa.array(joined["user_id"], pa.binary() if joined["user_id"].dtype == object else pa.int64())
    return SplitScan(
        list(files), file_sequences, joined["lengths"], joined["first"], joined["last"], targets, user_ids, counts
    )


def place_shards(scan: SplitScan, root: Path, split: str) -> list[ShardRecord]:
    """Gives a split its shards: links to the files where these are in order, else sorted copies.

    Distributed runners leave examples in any order, but training must not depend on the runner.

    Args:
        scan: The split.
        root: Directory that becomes the dataset.
        split: Name of the split; a directory of that name is made.
    """
    (root / split).mkdir(parents=True)
    order = scan.order
    linkable = all(not scheme_of(file) and _compression(file) for file in scan.files)
    if linkable and np.array_equal(order, np.arange(len(order))):
        files = [(file, count) for file, count in zip(scan.files, scan.file_sequences, strict=True) if count]
        names = [root / _name(split, number, len(files)) for number in range(len(files))]
        for (file, _), name in zip(files, names, strict=True):
            name.symlink_to(Path(file).resolve())
        bounds = [0, *itertools.accumulate(count for _, count in files)]
        lengths = scan.lengths
    else:
        bounds = shard_bounds(len(order), None)
        names = [root / _name(split, number, len(bounds) - 1) for number in range(len(bounds) - 1)]
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        _write_sorted(scan.files, rank, bounds, names)
        lengths = scan.lengths[order]
    return [
        _record(root, name, int(stop - start), int(lengths[start:stop].sum()))
        for name, (start, stop) in zip(names, itertools.pairwise(bounds), strict=True)
    ]


def _write_sorted(files: Sequence[str], rank: Ints, bounds: list[int], names: list[Path]) -> None:
    """Distributes the records to their shards, then sorts each shard in memory."""
    shard = np.searchsorted(np.asarray(bounds[1:]), rank, side="right")  # [sequences]
    parts = [name.with_name(name.name + ".part") for name in names]
    writers = [tf.io.TFRecordWriter(str(part)) for part in parts]
    place = 0
    for file in files:
        for record in tf.data.TFRecordDataset(file, compression_type=_compression(file)).as_numpy_iterator():
            writers[shard[place]].write(record)
            place += 1
    for number, (writer, part, name) in enumerate(zip(writers, parts, names, strict=True)):
        writer.close()
        records = list(tf.data.TFRecordDataset(str(part)).as_numpy_iterator())
        with tf.io.TFRecordWriter(str(name), _GZIP) as out:
            for position in np.argsort(rank[shard == number]):
                out.write(records[position])
        part.unlink()


def _record(root: Path, path: Path, sequences: int, events: int) -> ShardRecord:
    with path.open("rb") as file:
        size, digest = size_and_sha256(file)
    relative = str(path.relative_to(root))
    return ShardRecord(path=relative, sequences=sequences, events=events, bytes=size, sha256=digest)


def _name(split: str, number: int, count: int) -> str:
    return f"{split}/part-{number:05d}-of-{count:05d}.tfrecord.gz"


def _compression(file: str) -> str:
    return "GZIP" if file.endswith(".gz") else ""
