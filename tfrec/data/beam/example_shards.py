"""Last pass of a job: the examples, sorted into shards."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfrec.data.beam import job_files
from tfrec.data.beam.bucket import Bucket, BucketPlan, open_bucket
from tfrec.data.beam.job_runner import Guarded, JobRunner, raise_task_errors
from tfrec.data.beam.split_measures import key_names, sequence_keys
from tfrec.data.manifest import ShardRecord
from tfrec.data.splits import SPLITS, SplitPlan

_SHARDS = "shards"


class ExampleForm(Protocol):
    """What examples look like; travels to the workers."""

    def encode(self, bucket: Bucket, plan: SplitPlan, fold: int) -> list[bytes]:
        """Returns the serialized examples of a split of a bucket, by their rank."""


@dataclass(frozen=True)
class ShardLayout:
    """Where examples go.

    Attributes:
        root: Directory of the splits.
        file: Name of a shard with places for `split`, `number` and `count`.
        gzip: Whether shards are compressed.
        splitters: Per split the first sort keys of all shards but the first.
    """

    root: str
    file: str
    gzip: bool
    splitters: dict[str, list[Any]]

    def shards(self, split: str) -> int:
        """Returns the number of shards of a split."""
        return len(self.splitters[split]) + 1

    def path(self, split: str, number: int) -> str:
        """Returns the path of a shard, relative to `root`."""
        return self.file.format(split=split, number=number, count=self.shards(split))


def write_shards(
    jobs: JobRunner,
    plan: BucketPlan,
    split_plan: SplitPlan,
    buckets: Sequence[str],
    form: ExampleForm,
    layout: ShardLayout,
) -> dict[str, list[ShardRecord]]:
    """Writes the examples of all splits, in the order of the local conversion.

    Returns:
        The records of the shards of every split that has examples.
    """

    def build(pipeline: Any) -> None:
        import apache_beam as beam

        _ = (
            pipeline
            | beam.Create(list(buckets))
            | beam.Reshuffle()
            | beam.FlatMap(Guarded(_Encoder(plan, split_plan, form, layout), plan.directory).flat)
            | beam.GroupByKey()
            | beam.Map(Guarded(ShardSink(plan.directory, layout, key_names(plan)), plan.directory))
        )

    jobs.run("write", build)
    raise_task_errors(plan.directory)
    return shard_records(plan.directory)


def shard_records(directory: str) -> dict[str, list[ShardRecord]]:
    """Returns the records of the shards that a job has written, for every split that has examples."""
    records: dict[str, list[ShardRecord]] = {}
    for split in SPLITS:
        paths = job_files.list_files(job_files.join(directory, _SHARDS, split))
        if paths:
            records[split] = [ShardRecord.model_validate(job_files.read_json(path)) for path in paths]
    return records


@dataclass(frozen=True)
class _Encoder:
    plan: BucketPlan
    split_plan: SplitPlan
    form: ExampleForm
    layout: ShardLayout

    def __call__(self, path: str) -> list[tuple[tuple[str, int], bytes]]:
        with open_bucket(self.plan, path) as bucket:
            bucket.filter()
            bucket.fold()
            bucket.split(self.split_plan)
            return [part for fold in range(len(SPLITS)) for part in self._parts(bucket, fold)]

    def _parts(self, bucket: Bucket, fold: int) -> Iterator[tuple[tuple[str, int], bytes]]:
        split = SPLITS[fold]
        keys = sequence_keys(bucket, split)
        if not keys.num_rows:
            return
        records = pa.array(self.form.encode(bucket, self.split_plan, fold), pa.large_binary())
        table = keys.append_column("record", records)
        values = keys[0].to_numpy()
        splitters = np.asarray(self.layout.splitters[split], values.dtype)
        shard = np.searchsorted(splitters, values, side="right")  # ascends: rows are in the order of the first key
        starts = [0, *(np.flatnonzero(np.diff(shard)) + 1).tolist(), len(shard)]
        for start, stop in itertools.pairwise(starts):
            piece = table.slice(start, stop - start).combine_chunks()
            yield (split, int(shard[start])), job_files.to_bytes(piece)


@dataclass(frozen=True)
class ShardSink:
    """Sorts the examples of a shard and writes them; travels to the workers.

    Attributes:
        directory: Directory of the job.
        layout: Where shards go.
        keys: Columns to sort by, beside `length` and `record`.
    """

    directory: str
    layout: ShardLayout
    keys: list[str]

    def __call__(self, group: tuple[tuple[str, int], Iterable[bytes]]) -> None:
        """Writes one shard and its record."""
        (split, number), streams = group
        table = pa.concat_tables([job_files.from_bytes(stream) for stream in streams])
        table = table.sort_by([(name, "ascending") for name in self.keys])
        path = self.layout.path(split, number)
        options = tf.io.TFRecordOptions(compression_type="GZIP" if self.layout.gzip else "")
        with tempfile.TemporaryDirectory(prefix="tfrec-") as folder:
            file = Path(folder) / "shard"
            with tf.io.TFRecordWriter(str(file), options) as writer:
                for batch in table.select(["record"]).to_batches(max_chunksize=1 << 16):
                    for record in batch.column(0).to_pylist():
                        writer.write(record)
            content = file.read_bytes()
            job_files.publish(file, job_files.join(self.layout.root, path))
        record = ShardRecord(
            path=path,
            sequences=table.num_rows,
            events=int(table["length"].to_numpy().sum()),
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        job_files.write_json(
            job_files.join(self.directory, _SHARDS, split, f"{number:06d}.json"), record.model_dump(mode="json")
        )
