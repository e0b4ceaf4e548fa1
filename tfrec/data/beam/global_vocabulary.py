"""The vocabularies of the whole log, counted by the workers and ordered here."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrec.data.beam import job_files
from tfrec.data.beam.bucket import Bucket, BucketPlan
from tfrec.data.beam.id_counts import count_ids, with_ids
from tfrec.data.beam.job_runner import JobRunner
from tfrec.data.beam.split_times import check_left
from tfrec.data.catalogue import build_catalogue
from tfrec.data.split_sequences import build_vocabularies, make_split_sequences, no_training_sequence, training_counts
from tfrec.data.splits import SplitPlan
from tfrec.data.sql import literal
from tfrec.data.vocabulary import Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError

_NAME = "vocabulary"
_USERS = "users"
_DROPPED = ("consecutive_duplicates", "rare_items", "short_sequences", "sequences")


def count_training_events(
    jobs: JobRunner, plan: BucketPlan, buckets: Sequence[str], work: WorkDatabase
) -> tuple[SplitPlan, dict[str, int]]:
    """Makes `vocabulary_i`, `vocabulary_u` and what `build_catalogue` needs in a database of this process.

    Args:
        jobs: The engine.
        plan: What is known of the whole log, boundaries included.
        buckets: Files of the buckets.
        work: The database.

    Returns:
        How the whole log was split, and what was dropped before, as `filter_events` returns it.

    Raises:
        DataError: The filters leave nothing, the split rule no training event, or no training sequence has two events.
    """
    sums, facts = count_ids(jobs, _NAME, plan, buckets, _TrainingCount(plan.directory))
    check_left(plan, facts)
    split_plan = SplitPlan(**facts[0]["plan"])
    split_plan.truncated = sum(fact["plan"]["truncated"] for fact in facts)
    if not sum(fact["train_events"] for fact in facts):
        raise DataError(
            f"The split rule `{split_plan.rule}` leaves no training event.",
            remedy="Make valid and test smaller (--test-days, --valid-days, --test-fraction, --valid-fraction).",
        )
    if not sum(fact["train_sequences"] for fact in facts):
        raise no_training_sequence()
    _load(work, "i", sums, plan)
    counted = {"i": "SELECT code, count FROM counted_i WHERE count > 0"}
    if plan.loaded.roles.user:
        _load(work, "u", job_files.list_files(job_files.join(plan.directory, _USERS)), plan)
        counted["u"] = "SELECT code, count FROM counted_u"
    build_vocabularies(work, plan.loaded, counted)
    work.run("CREATE VIEW folded AS SELECT code AS i, 1 AS fold FROM counted_i WHERE later > 0")
    return split_plan, {name: sum(fact[name] for fact in facts) for name in _DROPPED}


def share_vocabularies(plan: BucketPlan, work: WorkDatabase, earlier: Vocabulary | None) -> BucketPlan:
    """Makes `catalogue_i` and hands the vocabularies to the workers.

    Returns:
        The plan with `vocabularies`.
    """
    build_catalogue(work, plan.loaded, plan.options, earlier)
    vocabularies = {}
    names = {"i": "catalogue_i", "u": "vocabulary_u"} if plan.loaded.roles.user else {"i": "catalogue_i"}
    for letter, name in names.items():
        vocabularies[letter] = job_files.join(plan.directory, f"known-{letter}.parquet")
        with tempfile.TemporaryDirectory(prefix="tfrec-") as directory:
            file = Path(directory) / "known.parquet"
            work.run(f"COPY (SELECT id, count, index FROM {name}) TO {literal(str(file))} (FORMAT parquet)")
            job_files.publish(file, vocabularies[letter])
    return dataclasses.replace(plan, vocabularies=vocabularies)


@dataclass(frozen=True)
class _TrainingCount:
    """Counts training events by item, and writes the users of a bucket, who are in no other."""

    directory: str

    def __call__(self, bucket: Bucket) -> tuple[str, dict[str, Any]]:
        loaded, work = bucket.plan.loaded, bucket.work
        filtered = bucket.filter()
        split_plan = bucket.fold()
        make_split_sequences(work, loaded, split_plan, bucket.plan.options, 0)
        counted = training_counts(loaded)
        if "u" in counted:
            users = work.connection.execute(with_ids(loaded, "u", counted["u"])).to_arrow_table()
            first = work.scalar("SELECT coalesce(min(pos), -1) FROM events")
            job_files.write_table(job_files.join(self.directory, _USERS, f"{first + 1:020d}.parquet"), users)
        later = "SELECT DISTINCT i AS code, 1 AS later FROM folded WHERE fold > 0"
        query = (
            "SELECT code, CAST(coalesce(count, 0) AS BIGINT) AS count, CAST(coalesce(later, 0) AS BIGINT) AS later "
            f"FROM ({counted['i']}) FULL JOIN ({later}) USING (code)"
        )
        facts = filtered | {
            "plan": vars(split_plan),
            "train_events": work.scalar("SELECT count(*) FROM folded WHERE fold = 0"),
            "train_sequences": work.scalar("SELECT count(*) FROM sequences_train"),
        }
        return query, facts


def _load(work: WorkDatabase, letter: str, paths: Sequence[str], plan: BucketPlan) -> None:
    """Makes `counted_<letter>` (code, sums) and, for string ids, `ids_<letter>` (code, id)."""
    name = f"counted_{letter}"
    with tempfile.TemporaryDirectory(prefix="tfrec-") as folder:
        for number, path in enumerate(paths):
            relation = job_files.parquet_sql(job_files.local_parquet(path, Path(folder)))
            start = "INSERT INTO" if number else "CREATE TABLE"
            work.run(f"{start} raw_{letter} {'' if number else 'AS '}SELECT * FROM {relation}")
    if plan.loaded.id_types[letter] == "string":
        work.run(f"CREATE TABLE ids_{letter} AS SELECT row_number() OVER (ORDER BY id) AS code, id FROM raw_{letter}")
        work.run(f"CREATE VIEW {name} AS SELECT * FROM raw_{letter} JOIN ids_{letter} USING (id)")
    else:
        work.run(f"CREATE VIEW {name} AS SELECT id AS code, * FROM raw_{letter}")
