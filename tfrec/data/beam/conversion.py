"""From Parquet logs to a dataset directory on a Beam engine, with the results of the local conversion."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from tfrec.data.beam.bucket import BucketPlan
from tfrec.data.beam.event_buckets import EventReader, bucket_files, fill_buckets
from tfrec.data.beam.example_shards import ExampleForm, ShardLayout, write_shards
from tfrec.data.beam.global_vocabulary import count_training_events, share_vocabularies
from tfrec.data.beam.item_support import keep_supported_items
from tfrec.data.beam.job_runner import JobRunner
from tfrec.data.beam.log_pieces import open_sources
from tfrec.data.beam.split_measures import measure_splits
from tfrec.data.beam.split_times import find_boundaries
from tfrec.data.column_types import find_roles, id_type, time_kind
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.event_features import EventFeature, check_event_features
from tfrec.data.event_loader import LoadedEvents
from tfrec.data.input_files import InputFile
from tfrec.data.manifest import ItemsRecord, ShardRecord, VocabularyRecord
from tfrec.data.manifest_builder import DatasetTotals, ManifestParts
from tfrec.data.schema import DatasetSchema
from tfrec.data.source_files import SourceFile
from tfrec.data.splits import SplitPlan
from tfrec.data.vocabulary import Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import ConfigError

_EVENTS_PER_BUCKET = 250_000
_MOST_BUCKETS = 8192
_LEAST_BUCKETS = 4

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass
class BeamConversion:
    """The passes of a conversion, from the log to the moment before examples are written.

    Attributes:
        plan: What is known of the whole log.
        split_plan: How it was split.
        buckets: Files of the buckets.
        dropped: Facts of the filters.
        facts: Statistics of the splits.
        splitters: First sort keys of the shards, see `measure_splits`.
        totals: Totals over all splits.
        sizes: Size in bytes and sha256 of each source.
    """

    jobs: JobRunner
    plan: BucketPlan
    split_plan: SplitPlan
    buckets: list[str]
    dropped: dict[str, int]
    facts: dict[str, Any]
    splitters: dict[str, list[Any]]
    totals: DatasetTotals
    sizes: list[tuple[int, str]]

    def write(self, form: ExampleForm, root: str, file: str, *, gzip: bool) -> dict[str, list[ShardRecord]]:
        """Writes the examples.

        Args:
            form: What they look like.
            root: Directory of the splits.
            file: Name of a shard with places for `split`, `number` and `count`.
            gzip: Whether shards are compressed.

        Returns:
            The records of the shards, by split.
        """
        layout = ShardLayout(root, file, gzip, self.splitters)
        return write_shards(self.jobs, self.plan, self.split_plan, self.buckets, form, layout)

    def manifest_parts(
        self,
        vocabularies: dict[str, VocabularyRecord],
        shards: dict[str, list[ShardRecord]],
        schema: DatasetSchema,
        items: ItemsRecord | None = None,
    ) -> ManifestParts:
        """Returns what the manifest is made of, with what was written."""
        return ManifestParts(
            list(self.plan.sources),
            self.sizes,
            self.plan.loaded,
            self.split_plan,
            self.dropped,
            self.facts,
            self.totals,
            vocabularies,
            shards,
            schema,
            None,
            items,
        )


def prepare_conversion(
    jobs: JobRunner,
    options: ConversionOptions,
    files: Sequence[InputFile],
    directory: str,
    work: WorkDatabase,
    *,
    earlier: Vocabulary | None = None,
    load_items: Callable[[LoadedEvents], None] = lambda loaded: None,
    progress: Progress = lambda stage, done, total: None,
    buckets: int | None = None,
    count_reversals: bool = False,
    event_features: bool = False,
) -> BeamConversion:
    """Runs all passes but the last.

    Args:
        jobs: The engine.
        options: What to read and how to split it.
        files: The log, Parquet.
        directory: Directory for the files of the job, which all workers can read and write.
        work: Database of this process, where vocabularies are ordered.
        earlier: Item vocabulary to continue.
        load_items: Called when the types of ids are known, before the catalogue is built.
        progress: Called as `progress(stage, done, total)`.
        buckets: Number of buckets; None = one per 250,000 events.
        count_reversals: Whether `event_buckets.row_order` will be asked.
        event_features: Whether examples are written that can hold features of events.

    Raises:
        ConfigError: An option that needs the local conversion.
        DataError: The input is unfit.
    """
    check_supported(options, event_features=event_features)
    sources, pieces = open_sources(files)
    roles = find_roles(options, sources)
    names = options.event_features
    check_event_features(names, sources, ())
    features = tuple(EventFeature(name, id_type(work, sources, name)[0]) for name in names)
    types = {letter: id_type(work, sources, column)[0] for letter, column in roles.ids().items()}
    kind = _time_kind(work, sources, roles.time)
    rows = sum(piece.rows for piece in pieces)
    count = buckets or max(_LEAST_BUCKETS, min(_MOST_BUCKETS, -(-rows // _EVENTS_PER_BUCKET)))
    reader = EventReader(
        directory, tuple(sources), roles, types, kind, options.conditions, names, count, count_reversals
    )
    progress("reading", 0, 0)
    loaded, sizes = fill_buckets(jobs, reader, pieces, options.time_unit)
    load_items(loaded)
    paths = bucket_files(directory)
    plan = BucketPlan(directory, options, tuple(sources), loaded, features)
    progress("filtering", 0, 0)
    plan = keep_supported_items(jobs, plan, paths)
    progress("splitting", 0, 0)
    plan = find_boundaries(jobs, plan, paths)
    split_plan, dropped = count_training_events(jobs, plan, paths, work)
    plan = share_vocabularies(plan, work, earlier)
    facts, splitters, sequences, users = measure_splits(jobs, plan, split_plan, paths)
    totals = DatasetTotals(sequences, users, work.scalar("SELECT count(*) FROM catalogue_i WHERE count = 0"))
    return BeamConversion(jobs, plan, split_plan, paths, dropped, facts, splitters, totals, sizes)


def check_supported(options: ConversionOptions, *, event_features: bool = False) -> None:
    """Raises ConfigError for options that need the local conversion, as `event_features` do unless told otherwise."""
    unsupported = {
        "--audit": options.audit,
        "--resume": options.resume,
        "--event-features": bool(options.event_features) and not event_features,
        "--users": bool(options.users),
    }
    remedies = {
        "--audit": "Its questions join all splits with one another: convert a sample of the log without --runner.",
        "--resume": "Engines repeat failed work themselves: run the whole command again.",
        "--event-features": "Convert without --runner, or without these columns.",
        "--users": "Convert without --runner, or without the files of users.",
    }
    for flag, given in unsupported.items():
        if given:
            raise ConfigError(f"`{flag}` does not work with `--runner`.", remedy=remedies[flag])


def _time_kind(work: WorkDatabase, sources: list[SourceFile], column: str) -> str:
    """As `time_kind`; times as text in remote files cannot be looked at from here."""
    for source in sources:
        if source.columns[column] == "VARCHAR" and "://" in source.location:
            raise ConfigError(
                f"`{source.path}`: the times in column `{column}` are text, in a remote file.",
                remedy="Write them as numbers or datetimes, or convert without --runner.",
            )
    return time_kind(work, sources, column)
