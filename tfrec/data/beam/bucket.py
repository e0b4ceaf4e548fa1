"""The events of one bucket in a database of its own, where the SQL of the local conversion runs on them."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tfrec.data.beam import job_files
from tfrec.data.beam.event_buckets import feature_column
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.event_features import EventFeature
from tfrec.data.event_loader import LoadedEvents, encode_strings
from tfrec.data.filters import make_sequences
from tfrec.data.remote_paths import scheme_of
from tfrec.data.source_files import SourceFile
from tfrec.data.split_sequences import make_split_sequences
from tfrec.data.splits import SPLITS, SplitPlan, fold_events
from tfrec.data.sql import identifier
from tfrec.data.work_database import WorkDatabase


@dataclass(frozen=True)
class BucketPlan:
    """What all buckets must know of the whole log; each pass adds to it. Travels to the workers.

    Attributes:
        directory: Directory of the job.
        options: Options of the conversion.
        sources: Input files.
        loaded: What reading found out.
        features: Further features of events.
        kept_items: File with the items that have enough events; None = no item is too rare, or not known yet.
        boundaries: Where the splits begin, for the rules that go by time.
        vocabularies: Files with `id`, `count` and `index` for the letters `i` and `u`.
    """

    directory: str
    options: ConversionOptions
    sources: tuple[SourceFile, ...]
    loaded: LoadedEvents
    features: tuple[EventFeature, ...] = ()
    kept_items: str | None = None
    boundaries: dict[str, int] | None = None
    vocabularies: dict[str, str] | None = None


class Bucket:
    """One bucket; the methods are the stages of the local conversion, in their order.

    Args:
        work: Its database, with the view `events`.
        plan: What is known of the whole log.
    """

    def __init__(self, work: WorkDatabase, plan: BucketPlan) -> None:
        self.work = work
        self.plan = plan

    def sequence(self) -> int:
        """Makes `sequenced`; returns the number of consecutive duplicates."""
        return make_sequences(self.work, self.plan.options, self.plan.loaded)

    def keep_sequences(self) -> None:
        """Makes `kept_q`, the sequences with enough events of kept items, and `kept_i` where items are known."""
        relation = "sequenced"
        if self.plan.kept_items is not None:
            column, join = "id AS i", ""
            if self.plan.loaded.id_types["i"] == "string":
                column, join = "code AS i", "JOIN ids_i USING (id)"
            known = _shared(self.plan.kept_items)
            self.work.run(f"CREATE TABLE kept_i AS SELECT {column} FROM {known} {join}")
            relation = "sequenced SEMI JOIN kept_i USING (i)"
        least = self.plan.options.min_seq_len
        self.work.run(f"CREATE TABLE kept_q AS SELECT q FROM {relation} GROUP BY q HAVING count(*) >= {least}")

    def filter(self) -> dict[str, int]:
        """Makes `filtered` and `keys`; returns what was dropped, as `filter_events` does, and what is left."""
        duplicates = self.sequence()
        self.keep_sequences()
        work, loaded = self.work, self.plan.loaded
        events, sequences, longest = work.row(
            "SELECT coalesce(sum(n), 0)::BIGINT, count(*), coalesce(max(n), 0) FROM "
            "(SELECT count(*) AS n FROM sequenced GROUP BY q)"
        )
        rare, items = 0, ""
        if self.plan.kept_items is not None:
            rare = work.scalar("SELECT count(*) FROM sequenced ANTI JOIN kept_i USING (i)")
            items = "SEMI JOIN kept_i USING (i)"
        work.run(f"CREATE VIEW filtered AS SELECT * FROM sequenced SEMI JOIN kept_q USING (q) {items}")
        if loaded.roles.sequence is not None and self.plan.options.session_gap is None:
            work.run(f"CREATE VIEW keys AS SELECT q, q AS {loaded.roles.sequence} FROM kept_q")
        left, kept = work.row("SELECT (SELECT count(*) FROM filtered), (SELECT count(*) FROM kept_q)")
        return {
            "consecutive_duplicates": duplicates,
            "rare_items": rare,
            "short_sequences": events - left - rare,
            "sequences": sequences - kept,
            "left": left,
            "all_sequences": sequences,
            "longest": longest,
        }

    def fold(self) -> SplitPlan:
        """Makes `folded`, after `filter`."""
        plan = self.plan
        return fold_events(self.work, plan.options, plan.loaded, list(plan.sources), plan.boundaries)

    def split(self, split_plan: SplitPlan) -> None:
        """Makes `catalogue_i`, `vocabulary_u` and the sequences of all splits, after `fold`."""
        for letter, path in (self.plan.vocabularies or {}).items():
            name = "catalogue_i" if letter == "i" else f"vocabulary_{letter}"
            source = f"SELECT id AS code, id, count, index FROM {_shared(path)}"
            if self.plan.loaded.id_types[letter] == "string":
                source = f"SELECT code, id, count, index FROM {_shared(path)} JOIN ids_{letter} USING (id)"
            self.work.run(f"CREATE TABLE {name} AS {source}")
        for fold in range(len(SPLITS)):
            make_split_sequences(self.work, self.plan.loaded, split_plan, self.plan.options, fold)


@contextmanager
def open_bucket(plan: BucketPlan, path: str) -> Iterator[Bucket]:
    """Context with a bucket, read from its file; with features there is `event_values`, see `load_event_features`."""
    with tempfile.TemporaryDirectory(prefix="tfrec-") as directory:
        work = WorkDatabase(Path(directory), plan.options.memory_limit)
        try:
            relation = job_files.parquet_sql(job_files.local_parquet(path, Path(directory)))
            columns = ", ".join(["pos", *plan.loaded.id_types, "t"])
            work.run(f"CREATE TABLE loaded AS SELECT {columns} FROM {relation}")
            encode_strings(work, dict(plan.loaded.id_types), "pos")
            if plan.features:
                held = [identifier(feature_column(feature.name)) for feature in plan.features]
                named = ", ".join(f"{column} AS f{number}" for number, column in enumerate(held))
                work.run(f"CREATE TABLE event_values AS SELECT pos, {named} FROM {relation}")
            yield Bucket(work, plan)
        finally:
            work.close()


def bucket_name(path: str) -> str:
    """Returns the name of a bucket, which the files with facts on it have too."""
    return path.rsplit("/", 1)[-1].removesuffix(".parquet")


@functools.lru_cache(maxsize=16)
def _shared(path: str) -> str:
    """SQL for a file that every bucket needs; a remote one is copied once per process."""
    if not scheme_of(path):
        return job_files.parquet_sql(path)
    folder = tempfile.TemporaryDirectory(prefix="tfrec-")
    _COPIES.append(folder)
    return job_files.parquet_sql(job_files.local_parquet(path, Path(folder.name)))


_COPIES: list[tempfile.TemporaryDirectory[str]] = []
