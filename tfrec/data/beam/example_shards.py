"""Last passes of a job: how many examples there are, and the examples themselves, sorted into shards."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from tfrec.data.beam import job_files
from tfrec.data.beam.bucket import Bucket, BucketPlan, bucket_name, open_bucket
from tfrec.data.beam.job_runner import Guarded, JobRunner, raise_task_errors, run_tasks
from tfrec.data.manifest import ShardRecord
from tfrec.data.manifest_builder import count_totals
from tfrec.data.shard_writer import shard_bounds
from tfrec.data.split_sequences import split_statistics
from tfrec.data.splits import SPLITS, SplitPlan

_MEASURE = "measure"
_SHARDS = "shards"
_SAMPLES = 512


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


def measure_splits(
    jobs: JobRunner, plan: BucketPlan, split_plan: SplitPlan, buckets: Sequence[str]
) -> tuple[dict[str, Any], dict[str, list[Any]], int, int]:
    """Counts what the splits hold.

    Returns:
        Facts as `build_sequences` returns them; per split the first sort keys of its shards but the first; and the
        numbers of sequences and users over all splits.
    """
    run_tasks(jobs, _MEASURE, buckets, _Measure(plan, split_plan), plan.directory)
    paths = job_files.list_files(job_files.join(plan.directory, _MEASURE))
    found = [job_files.read_json(path) for path in paths]
    facts, splitters = {}, {}
    for split in SPLITS:
        facts[split] = _merged([entry[split] for entry in found])
        splitters[split] = _splitters([entry[split] for entry in found], facts[split]["sequences"], plan.options.shards)
    return facts, splitters, sum(entry["sequences"] for entry in found), sum(entry["users"] for entry in found)


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
            | beam.Map(Guarded(_ShardSink(plan.directory, layout, _key_names(plan)), plan.directory))
        )

    jobs.run("write", build)
    raise_task_errors(plan.directory)
    records: dict[str, list[ShardRecord]] = {}
    for split in SPLITS:
        paths = job_files.list_files(job_files.join(plan.directory, _SHARDS, split))
        if paths:
            records[split] = [ShardRecord.model_validate(job_files.read_json(path)) for path in paths]
    return records


@dataclass(frozen=True)
class _Measure:
    plan: BucketPlan
    split_plan: SplitPlan

    def __call__(self, path: str) -> None:
        with open_bucket(self.plan, path) as bucket:
            bucket.filter()
            bucket.fold()
            bucket.split(self.split_plan)
            facts: dict[str, Any] = {}
            for fold, split in enumerate(SPLITS):
                facts[split] = split_statistics(bucket.work, split, fold)
                lengths = f"SELECT n, count(*) FROM sequences_{split} GROUP BY n"
                facts[split]["lengths"] = [list(row) for row in bucket.work.rows(lengths)]
                keys = _keys(bucket, split)[_key_names(self.plan)[0]]
                places = np.unique(np.linspace(0, len(keys) - 1, min(len(keys), _SAMPLES)).astype(np.int64))
                facts[split]["samples"] = keys.take(pa.array(places, pa.int64())).to_pylist()
            totals = count_totals(bucket.work, self.plan.loaded)
            facts.update(sequences=totals.sequences, users=totals.users)
        name = f"{bucket_name(path)}.json"
        job_files.write_json(job_files.join(self.plan.directory, _MEASURE, name), facts)


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
        keys = _keys(bucket, split)
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
class _ShardSink:
    directory: str
    layout: ShardLayout
    keys: list[str]

    def __call__(self, group: tuple[tuple[str, int], Iterable[bytes]]) -> None:
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


def _key_names(plan: BucketPlan) -> list[str]:
    """Sort keys of sequences, see `build_sequences`."""
    ids = [letter for letter in ("u", "s") if letter in plan.loaded.id_types]
    return ["first", *ids] if plan.options.sequence_order == "time" else [*ids, "first"]


def _keys(bucket: Bucket, split: str) -> pa.Table:
    """Sort keys and length of every sequence of a split, by rank; ids are raw."""
    chosen, joins = ["first", "n AS length"], ""
    for letter in ("u", "s"):
        kind = bucket.plan.loaded.id_types.get(letter)
        if kind == "string":
            chosen.append(f"ids_{letter}.id AS {letter}")
            joins += f" JOIN ids_{letter} ON ids_{letter}.code = keys.{letter}"
        elif kind is not None:
            chosen.append(f"keys.{letter} AS {letter}")
    query = f"SELECT {', '.join(chosen)} FROM sequences_{split} JOIN keys USING (q){joins} ORDER BY rank"
    table = bucket.work.connection.execute(query).to_arrow_table()
    return table.select([*_key_names(bucket.plan), "length"])


def _merged(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The statistics of a split over all buckets."""
    summed = ("sequences", "events", "targets", "unknown_item_events", "fold_events", "own_events")
    facts: dict[str, Any] = {name: sum(entry[name] for entry in found) for name in summed}
    filled = [entry for entry in found if entry["sequences"]]
    for name, choose in (("first_time", min), ("last_time", max), ("min_length", min), ("max_length", max)):
        facts[name] = choose((entry[name] for entry in filled), default=None)
    lengths: Counter[int] = Counter()
    for entry in found:
        lengths.update(dict(entry["lengths"]))
    facts["mean_length"] = facts["events"] / facts["sequences"] if facts["sequences"] else None
    facts["median_length"] = _median(lengths) if lengths else None
    return facts


def _median(lengths: Counter[int]) -> float:
    values = np.array(sorted(lengths))
    ends = np.cumsum([lengths[int(value)] for value in values])
    count = int(ends[-1])
    low, high = (values[np.searchsorted(ends, place, side="right")] for place in ((count - 1) // 2, count // 2))
    return float(low + high) / 2


def _splitters(found: Sequence[dict[str, Any]], sequences: int, shards: int | None) -> list[Any]:
    """First sort keys of all shards but the first, so that shards are about equal; equal keys stay together."""
    bounds = shard_bounds(sequences, shards) if sequences else [0, 0]
    if len(bounds) == 2:
        return []
    weighted = sorted(
        (value, entry["sequences"] / len(entry["samples"])) for entry in found for value in entry["samples"]
    )
    ends: npt.NDArray[np.float64] = np.cumsum([weight for _, weight in weighted])
    places = np.searchsorted(ends, np.asarray(bounds[1:-1]) + 0.5, side="left").clip(0, len(weighted) - 1)
    chosen = sorted({weighted[place][0] for place in places.tolist()})
    return [value for value in chosen if value != weighted[0][0]]
