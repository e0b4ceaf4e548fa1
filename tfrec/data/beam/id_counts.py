"""Counts of ids over all buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from tfrec.data.beam import job_files
from tfrec.data.beam.bucket import Bucket, BucketPlan, bucket_name, open_bucket
from tfrec.data.beam.job_runner import Guarded, JobRunner, raise_task_errors
from tfrec.data.event_loader import LoadedEvents


def count_ids(
    jobs: JobRunner, name: str, plan: BucketPlan, buckets: Sequence[str], query: Callable[[Bucket], tuple[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Sums the columns of a query over all buckets, id by id.

    Args:
        jobs: The engine.
        name: Name of the pass.
        plan: What is known of the whole log.
        buckets: Files of the buckets.
        query: Picklable; gives SQL for `code` (of an item) and integer columns, and facts on the bucket.

    Returns:
        Parquet files, with distinct ids each: `id` and the sums; and the facts of the buckets.
    """
    counter = _Counter(name, plan, query, parts=max(1, len(buckets) // 4))
    merger = _Merger(job_files.join(plan.directory, name, "sums"))

    def build(pipeline: Any) -> None:
        import apache_beam as beam

        _ = (
            pipeline
            | beam.Create(list(buckets))
            | beam.Reshuffle()
            | beam.FlatMap(Guarded(counter, plan.directory).flat)
            | beam.GroupByKey()
            | beam.Map(Guarded(merger, plan.directory))
        )

    jobs.run(name, build)
    raise_task_errors(plan.directory)
    facts = [job_files.read_json(path) for path in job_files.list_files(job_files.join(plan.directory, name))]
    return job_files.list_files(job_files.join(plan.directory, name, "sums")), facts


def with_ids(loaded: LoadedEvents, letter: str, query: str) -> str:
    """Returns SQL that replaces the `code` of a query by the raw `id`."""
    if loaded.id_types[letter] == "string":
        return f"SELECT id, * EXCLUDE (code, id) FROM ({query}) JOIN ids_{letter} USING (code)"
    return f"SELECT code AS id, * EXCLUDE (code) FROM ({query})"


class _Counter:
    def __init__(self, name: str, plan: BucketPlan, query: Callable[[Bucket], tuple[str, Any]], parts: int) -> None:
        self._name, self._plan, self._query, self._parts = name, plan, query, parts

    def __call__(self, path: str) -> list[tuple[int, bytes]]:
        with open_bucket(self._plan, path) as bucket:
            query, facts = self._query(bucket)
            job_files.write_json(job_files.join(self._plan.directory, self._name, f"{bucket_name(path)}.json"), facts)
            named = with_ids(self._plan.loaded, "i", query)
            part = f"CAST(hash(id) % {self._parts} AS INTEGER)"
            table = bucket.work.connection.execute(f"SELECT {part} AS part, * FROM ({named}) ORDER BY part")
            return list(job_files.streams_by(table.to_arrow_table(), "part"))


class _Merger:
    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __call__(self, group: tuple[int, Iterable[bytes]]) -> None:
        part, streams = group
        table = pa.concat_tables([job_files.from_bytes(stream) for stream in streams])
        sums = [name for name in table.column_names if name != "id"]
        merged = table.group_by("id").aggregate([(name, "sum") for name in sums])
        columns = {"id": merged["id"]} | {name: merged[f"{name}_sum"].cast(pa.int64()) for name in sums}
        job_files.write_table(job_files.join(self._directory, f"{part:06d}.parquet"), pa.table(columns))
