"""What the splits hold, and where their shards begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfrec.data.beam import job_files
from tfrec.data.beam.bucket import Bucket, BucketPlan, bucket_name, open_bucket
from tfrec.data.beam.job_runner import JobRunner, run_tasks
from tfrec.data.manifest_builder import count_totals
from tfrec.data.shard_bounds import shard_bounds
from tfrec.data.split_sequences import split_statistics
from tfrec.data.splits import SPLITS, SplitPlan

_MEASURE = "measure"
_SAMPLES = 512


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
                keys = sequence_keys(bucket, split)[key_names(self.plan)[0]]
                places = np.unique(np.linspace(0, len(keys) - 1, min(len(keys), _SAMPLES)).astype(np.int64))
                facts[split]["samples"] = keys.take(pa.array(places, pa.int64())).to_pylist()
            totals = count_totals(bucket.work, self.plan.loaded)
            facts.update(sequences=totals.sequences, users=totals.users)
        name = f"{bucket_name(path)}.json"
        job_files.write_json(job_files.join(self.plan.directory, _MEASURE, name), facts)


def key_names(plan: BucketPlan) -> list[str]:
    """Returns the sort keys of sequences, see `build_sequences`."""
    ids = [letter for letter in ("u", "s") if letter in plan.loaded.id_types]
    return ["first", *ids] if plan.options.sequence_order == "time" else [*ids, "first"]


def sequence_keys(bucket: Bucket, split: str) -> pa.Table:
    """Returns sort keys and length of every sequence of a split, by rank; ids are raw."""
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
    return table.select([*key_names(bucket.plan), "length"])


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
