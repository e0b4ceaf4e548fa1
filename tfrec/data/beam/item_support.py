"""Filters that depend on all sequences: rare items, and short sequences once more, until nothing changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.beam import job_files
from tfrec.data.beam.bucket import Bucket, BucketPlan
from tfrec.data.beam.id_counts import count_ids
from tfrec.data.beam.job_runner import JobRunner


def keep_supported_items(jobs: JobRunner, plan: BucketPlan, buckets: Sequence[str]) -> BucketPlan:
    """Finds the items with enough events, as `filter_events` does; each round is a pass over the buckets.

    A sequence counts while enough of its events are of kept items; an item is kept while it has enough events in such
    sequences. Both sets only shrink, so that the last round's items alone tell which events stay.

    Returns:
        The plan with `kept_items`; unchanged where one event is enough.
    """
    options = plan.options
    if options.min_item_count == 1:
        return plan
    size, number = None, 0
    while True:
        sums, facts = count_ids(jobs, f"support-{number}", plan, buckets, _count_supported)
        tables = [job_files.read_table(path) for path in sums]
        kept = [
            table.filter(pc.greater_equal(table["count"], options.min_item_count)).select(["id"]) for table in tables
        ]
        items = pa.concat_tables(kept) if kept else pa.table({"id": pa.array([], pa.int64())})
        path = job_files.join(plan.directory, f"kept-{number}.parquet")
        job_files.write_table(path, items)
        plan = dataclasses.replace(plan, kept_items=path)
        before, size = size, (sum(fact["sequences"] for fact in facts), items.num_rows)
        if options.filter_mode == "single_pass" or size == before:
            return plan
        number += 1


def _count_supported(bucket: Bucket) -> tuple[str, dict[str, Any]]:
    bucket.sequence()
    bucket.keep_sequences()
    counts = "SELECT i AS code, count(*) AS count FROM sequenced SEMI JOIN kept_q USING (q) GROUP BY i"
    return counts, {"sequences": bucket.work.scalar("SELECT count(*) FROM kept_q")}
