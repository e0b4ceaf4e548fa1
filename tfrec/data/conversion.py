"""From interaction logs to a dataset directory, out of core, resumable and all or nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tfrec.data.audit import audit_splits
from tfrec.data.column_types import Roles, find_roles
from tfrec.data.conversion_inputs import find_log, find_sides, open_files
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_features import (
    EventFeature,
    check_event_features,
    event_feature_specs,
    event_vocabularies,
    load_event_features,
)
from tfrec.data.event_loader import LoadedEvents, load_events
from tfrec.data.example_encoder import ExampleEncoder, NumpyEncoder
from tfrec.data.filters import filter_events, make_sequences
from tfrec.data.input_files import InputFile
from tfrec.data.item_columns import find_side_tables
from tfrec.data.item_loader import load_items
from tfrec.data.item_writer import WrittenItems, write_items
from tfrec.data.manifest import (
    MANIFEST_NAME,
    SCHEMA_NAME,
    AuditRecord,
    Manifest,
    ShardRecord,
)
from tfrec.data.manifest_builder import ManifestParts, build_manifest, count_totals, dataset_schema, source_records
from tfrec.data.partial_output import PartialOutput, check_output
from tfrec.data.shard_bounds import shard_bounds
from tfrec.data.shard_writer import ShardWriter
from tfrec.data.side_files import SideFiles
from tfrec.data.source_files import SourceFile, table_source
from tfrec.data.split_sequences import build_sequences, example_contexts, example_events, read_vocabulary
from tfrec.data.splits import SPLITS, SplitPlan, assign_folds
from tfrec.data.vocabulary import Vocabulary
from tfrec.data.vocabulary_files import write_vocabularies
from tfrec.data.work_database import OutOfSpaceError, WorkDatabase
from tfrec.errors import ConfigError
from tfrec.version import __version__

_STREAM_EVENTS = 1 << 18
_STREAM_SEQUENCES = 1 << 14

Progress = Callable[[str, int, int], None]


def convert(
    options: ConversionOptions,
    *,
    table: pa.Table | None = None,
    encoder: ExampleEncoder | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Converts interaction logs to a dataset directory.

    Everything is written to `<output>.partial` and renamed when it is whole. Filtering, joining and sorting run in an
    on-disk database there, so the log may be much larger than memory. The same input, options and seed give the same
    bytes.

    Args:
        options: What to read and how to split it.
        table: An arrow table to convert instead of files.
        encoder: Encoder of examples; default: our own, whose bytes depend on nothing but the data.
        progress: Called as `progress(stage, done, total)`; total 0 means unknown.

    Returns:
        The manifest of the dataset (with `dry_run`: without shards).

    Raises:
        DataError: The input or an existing output is unfit; the message says where and what to do.

    Example:
        >>> log = pa.table({"session_id": [1, 1], "item_id": [7, 8], "timestamp": [0, 60]})
        >>> options = ConversionOptions(output="DS", split="random_user", test_fraction=0, valid_fraction=0)
        >>> convert(options, table=log).counts.events  # doctest: +SKIP
        2
    """
    report = progress or (lambda stage, done, total: None)
    if options.runner is not None:
        return _convert_on_beam(options, table, encoder, report)
    with tempfile.TemporaryDirectory(prefix="tfrec-") as directory, duckdb.connect() as reader:
        scratch = Path(directory)
        files = [] if table is not None else find_log(options)
        sides = find_sides(options)
        earlier = None if options.vocabulary is None else InteractionDataset.open(options.vocabulary).item_vocabulary
        tables = [] if table is None else [table_source(table, reader, scratch)]

        def run(root: Path) -> Manifest:
            sources = tables or open_files(files, reader, root / "work" / "inputs", report)
            opened = {
                side: open_files(paths, reader, root / "work" / f"{side.noun}s", report)
                for side, paths in sides.items()
            }
            roles = find_roles(options, sources)
            return _Conversion(options, sources, opened, roles, earlier, root, encoder, report).run()

        if options.dry_run:
            check_output(Path(options.output), options.overwrite)
            return run(scratch)
        output = PartialOutput(
            options,
            _fingerprint(options, [*files, *chain(*sides.values())], tables, earlier, encoder),
        )
        with output.open() as (root, finished):
            if finished:
                return InteractionDataset.open(output.finish()).manifest
            manifest = run(root)
            output.finish()
        return manifest


def _convert_on_beam(
    options: ConversionOptions, table: pa.Table | None, encoder: ExampleEncoder | None, report: Progress
) -> Manifest:
    from tfrec.data.beam.dataset_conversion import convert_on_beam

    if table is not None:
        raise ConfigError(
            "A table in memory is not converted on Beam.", remedy="Write it to Parquet, or pass no runner."
        )
    return convert_on_beam(options, encoder=encoder, progress=report)


def _fingerprint(
    options: ConversionOptions,
    files: list[InputFile],
    tables: list[SourceFile],
    earlier: Vocabulary | None,
    encoder: ExampleEncoder | None,
) -> str:
    stamps: list[list[object]] = [[file.path, file.size, file.stamp] for file in files]
    stamps += [[table.path, *table.checksum()] for table in tables]
    stamps += [[earlier.content_hash]] if earlier is not None else []
    kind = NumpyEncoder if encoder is None else type(encoder)
    return json.dumps([options.fingerprint(), __version__, f"{kind.__module__}.{kind.__qualname__}", stamps])


class _Conversion:
    def __init__(
        self,
        options: ConversionOptions,
        sources: list[SourceFile],
        sides: dict[SideFiles, list[SourceFile]],
        roles: Roles,
        earlier: Vocabulary | None,
        root: Path,
        encoder: ExampleEncoder | None,
        report: Progress,
    ) -> None:
        self.options = options
        self.sources = sources
        self.sides = find_side_tables(sides, roles)
        taken = [feature.name for table in self.sides for feature in table.columns.features]
        check_event_features(options.event_features, sources, taken)
        self.roles = roles
        self.earlier = earlier
        self.root = root
        self.encoder = encoder or NumpyEncoder()
        self.report = report

    def run(self) -> Manifest:
        work = WorkDatabase(self.root / "work", self.options.memory_limit)
        try:
            manifest = self._run(work)
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.OutOfMemoryException as error:
            raise OutOfSpaceError(
                f"The work database ran out of memory or disk ({str(error).splitlines()[0]}).",
                file=self.root,
                remedy="Raise --memory-limit or free disk space, then run again with --resume.",
            ) from error
        finally:
            work.close()
        return manifest

    def _run(self, work: WorkDatabase) -> Manifest:
        options = self.options
        with ThreadPoolExecutor(1) as pool:
            checksums = pool.submit(self._checksums)
            self.report("reading", 0, 0)
            loaded = load_events(work, self.sources, self.roles, options.time_unit, options.conditions)
            sizes = checksums.result()
        side_rows = [
            load_items(work, table.side, table.sources, table.columns, loaded.id_types[table.side.letter])
            for table in self.sides
        ]
        self.report("filtering", 0, 0)
        with work.stage("filter") as stage:
            if not stage.done:
                duplicates = make_sequences(work, options, loaded)
                stage.facts.update({"consecutive_duplicates": duplicates, **filter_events(work, options, loaded)})
            dropped = stage.facts
        self.report("splitting", 0, 0)
        with work.stage("split") as stage:
            if not stage.done:
                stage.facts.update(vars(assign_folds(work, options, loaded, self.sources)))
            plan = SplitPlan(**stage.facts)
        with work.stage("sequences") as stage:
            if not stage.done:
                stage.facts.update(build_sequences(work, loaded, plan, options, self.earlier))
            facts = stage.facts
        events = load_event_features(work, self.sources, options.event_features, loaded.rows)
        audit = None
        if options.audit:
            self.report("auditing", 0, 0)
            with work.stage("audit") as stage:
                if not stage.done:
                    stage.facts.update(audit_splits(work, loaded, plan, options.unknown_items).model_dump())
                audit = AuditRecord(**stage.facts)
        vocabularies = {"item": read_vocabulary(work, "i")}
        if self.roles.user:
            vocabularies["user"] = read_vocabulary(work, "u")
        written: dict[str, WrittenItems] = {}
        root = None if options.dry_run else self.root
        for table, rows in zip(self.sides, side_rows, strict=True):
            files = source_records(table.sources, [source.checksum() for source in table.sources], rows)
            made = write_items(work, table.side, table.columns, files, self.encoder, root)
            written[table.side.noun] = made
            vocabularies |= made.vocabularies
        vocabularies |= event_vocabularies(work, events)
        files_of = write_vocabularies(vocabularies, root)
        event_specs = event_feature_specs(events, vocabularies)
        specs = {noun: made.features for noun, made in written.items()}
        schema = dataset_schema(loaded, vocabularies, specs.get("item", []), event_specs, specs.get("user", []))
        shards = {} if options.dry_run else self._write_shards(work, loaded, plan, facts, events)
        totals = count_totals(work, loaded)
        records = {f"{noun}s": made.record for noun, made in written.items()}
        parts = ManifestParts(
            self.sources, sizes, loaded, plan, dropped, facts, totals, files_of, shards, schema, audit, **records
        )
        manifest = build_manifest(options, parts)
        if not options.dry_run:
            (self.root / SCHEMA_NAME).write_text(schema.to_text())
            temporary = self.root / f"{MANIFEST_NAME}.tmp"
            temporary.write_text(manifest.to_json(), encoding="utf-8")
            temporary.rename(self.root / MANIFEST_NAME)
        return manifest

    def _checksums(self) -> list[tuple[int, str]]:
        cache = self.root / "work" / "checksums.json"
        if cache.exists():
            return [(size, digest) for size, digest in json.loads(cache.read_text())]
        sizes = [source.checksum() for source in self.sources]
        temporary = cache.with_suffix(".tmp")
        temporary.write_text(json.dumps(sizes))
        temporary.rename(cache)
        return sizes

    def _write_shards(
        self,
        work: WorkDatabase,
        loaded: LoadedEvents,
        plan: SplitPlan,
        facts: dict[str, Any],
        features: list[EventFeature],
    ) -> dict[str, list[ShardRecord]]:
        total = sum(facts[split]["sequences"] for split in SPLITS)
        done = 0
        shards = {}
        for fold, split in enumerate(SPLITS):
            sequences = facts[split]["sequences"]
            if not sequences:
                continue
            bounds = shard_bounds(sequences, self.options.shards)
            journal = self.root / "work" / f"{split}.jsonl"
            writer = ShardWriter(self.root, split, bounds, self.options.compression, self.encoder, journal)
            written = bounds[len(writer.records)]

            def advance(count: int) -> None:
                nonlocal written
                written += count
                self.report("writing", done + written, total)  # noqa: B023

            self.report("writing", done + written, total)
            if not writer.done:
                first = writer.first_rank
                contexts = work.stream(example_contexts(loaded, split, first), _STREAM_SEQUENCES)
                query = example_events(plan, fold, self.options.unknown_items, first, features)
                events = work.stream(query, _STREAM_EVENTS)
                writer.write(contexts, events, advance)
            shards[split] = writer.records
            done += sequences
        return shards


__all__ = ["ConversionOptions", "convert"]
