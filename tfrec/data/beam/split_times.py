"""Where the splits begin, for the rules that need a look at the whole log first."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tfrec.data.beam import job_files
from tfrec.data.beam.bucket import BucketPlan, bucket_name, open_bucket
from tfrec.data.beam.job_runner import JobRunner, run_tasks
from tfrec.data.splits import session_boundaries, time_boundaries
from tfrec.errors import DataError

_BINS = 1 << 17


@dataclass(frozen=True)
class BucketSurvey:
    """Looks at the filtered events of a bucket; travels to the workers.

    Attributes:
        name: Name of the pass.
        plan: What is known of the whole log.
        before: Find the latest end of a sequence that ends before this time.
        low: Count events by time from here on ...
        width: ... in bins so many milliseconds wide; 0 = do not count.
    """

    name: str
    plan: BucketPlan
    before: int | None = None
    low: int = 0
    width: int = 0

    def __call__(self, path: str) -> None:
        """Notes what it found out in a file."""
        with open_bucket(self.plan, path) as bucket:
            facts: dict[str, Any] = bucket.filter()
            times = f"(SELECT q, {self.plan.loaded.milliseconds} AS ms FROM filtered)"
            facts["first"], facts["last"] = bucket.work.row(f"SELECT min(ms), max(ms) FROM {times}")
            if self.before is not None:
                ends = f"SELECT max(ms) AS last FROM {times} GROUP BY q HAVING last < {self.before}"
                facts["end"] = bucket.work.scalar(f"SELECT max(last) FROM ({ends})")
            if self.width:
                last = self.low + self.width * _BINS
                bins = f"SELECT (ms - {self.low}) // {self.width} AS bin, count(*) FROM {times}"
                rows = bucket.work.rows(f"{bins} WHERE ms >= {self.low} AND ms < {last} GROUP BY bin")
                facts["bins"] = [list(row) for row in rows]
        job_files.write_json(job_files.join(self.plan.directory, self.name, f"{bucket_name(path)}.json"), facts)


def find_boundaries(jobs: JobRunner, plan: BucketPlan, buckets: Sequence[str]) -> BucketPlan:
    """Finds the boundaries of the split rule, by as many passes as it needs; none for the rules that do not go by time.

    Returns:
        The plan with `boundaries`.
    """
    options = plan.options
    rule = options.rule(sessions=plan.loaded.roles.session is not None or options.session_gap is not None)
    if rule not in ("session_time", "session_time_last", "global_time"):
        return plan
    if rule == "session_time" and options.split_time is not None:
        return dataclasses.replace(plan, boundaries=session_boundaries(options, rule, 0, lambda test: None))
    numbers = itertools.count()

    def survey(**looks: Any) -> list[dict[str, Any]]:
        name = f"survey-{next(numbers)}"
        run_tasks(jobs, name, buckets, BucketSurvey(name, plan, **looks), plan.directory)
        paths = job_files.list_files(job_files.join(plan.directory, name))
        return [job_files.read_json(path) for path in paths]

    found = survey()
    check_left(plan, found)
    left = sum(facts["left"] for facts in found)
    first = min(facts["first"] for facts in found if facts["first"] is not None)
    latest = max(facts["last"] for facts in found if facts["last"] is not None)

    def latest_before(test: int) -> int | None:
        ends = [facts["end"] for facts in survey(before=test) if facts["end"] is not None]
        return max(ends, default=None)

    def time_of_last(fraction: float) -> int:
        last = int(left * fraction + 1e-9)
        if last == 0:
            return latest + 1
        return _time_of_rank(lambda low, width: survey(low=low, width=width), left - last, first, latest)

    if rule == "global_time":
        boundaries = time_boundaries(options, latest, time_of_last)
    else:
        boundaries = session_boundaries(options, rule, latest, latest_before)
    return dataclasses.replace(plan, boundaries=boundaries)


def check_left(plan: BucketPlan, found: Sequence[dict[str, Any]]) -> None:
    """Raises DataError when the filters have left nothing; `found` are the facts of `Bucket.filter`."""
    if any(facts["left"] for facts in found):
        return
    sequences, longest = sum(facts["all_sequences"] for facts in found), max(facts["longest"] for facts in found)
    raise DataError(
        f"No sequence is left of {sequences:,}: the longest has {longest:,} events; needed are at least "
        f"{plan.options.min_seq_len} events per sequence (`--min-seq-len`) and {plan.options.min_item_count} per item "
        "(`--min-item-count`).",
        remedy="Check that the user or session column is the right one, or lower the limits.",
    )


def _time_of_rank(count: Callable[[int, int], list[dict[str, Any]]], rank: int, first: int, latest: int) -> int:
    """The time of the event with `rank` (from 0) events before it, by histograms that become finer."""
    low, high = first, latest + 1
    while True:
        width = max(1, -(-(high - low) // _BINS))
        bins: Counter[int] = Counter()
        for facts in count(low, width):
            for place, events in facts["bins"]:
                bins[place] += events
        for place in sorted(bins):
            if rank < bins[place]:
                break
            rank -= bins[place]
        low += place * width
        if width == 1:
            return low
        high = low + width
