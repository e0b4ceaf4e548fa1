"""A dataset directory written by a Beam engine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tfrec.data.beam import job_files
from tfrec.data.beam.conversion import Progress, check_supported, prepare_conversion
from tfrec.data.beam.indexed_examples import IndexedExamples
from tfrec.data.beam.job_runner import BeamJobRunner, JobRunner
from tfrec.data.conversion_inputs import find_log, open_files
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_loader import LoadedEvents
from tfrec.data.example_encoder import ExampleEncoder, NumpyEncoder
from tfrec.data.input_files import find_inputs
from tfrec.data.item_columns import find_item_columns
from tfrec.data.item_loader import load_items
from tfrec.data.item_writer import write_items
from tfrec.data.manifest import MANIFEST_NAME, SCHEMA_NAME, Manifest
from tfrec.data.manifest_builder import build_manifest, dataset_schema, source_records
from tfrec.data.partial_output import PartialOutput, check_output
from tfrec.data.remote_paths import scheme_of
from tfrec.data.side_files import SideFiles
from tfrec.data.split_sequences import read_vocabulary
from tfrec.data.vocabulary_files import write_vocabularies
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError


def convert_on_beam(
    options: ConversionOptions,
    *,
    encoder: ExampleEncoder | None = None,
    progress: Progress = lambda stage, done, total: None,
    jobs: JobRunner | None = None,
    buckets: int | None = None,
) -> Manifest:
    """Converts Parquet logs to a dataset directory on a Beam engine.

    The vocabularies, the facts in the manifest and the examples, in their order, are those of `convert`; only shards of
    a split may be cut at other places. Several passes run one after the other; between them, the files of the job lie
    in `OUTPUT.partial`, which all workers must see under the same path.

    Args:
        options: What to read and how to split it; `runner` and `beam_args` name the engine.
        encoder: Encoder of examples.
        progress: Called as `progress(stage, done, total)`.
        jobs: Another engine than the one in `options`.
        buckets: Number of parts the log is divided into; None = one per 250,000 events.

    Returns:
        The manifest of the dataset.

    Raises:
        ConfigError: An unknown engine or flag, or an option that needs the local conversion.
        DataError: The input or an existing output is unfit; or the engine failed.
    """
    check_supported(options)
    jobs = jobs or BeamJobRunner(options.runner or "DirectRunner", options.beam_args)
    files = find_log(options)
    side = SideFiles.of_items(options)
    item_files = find_inputs(side.files, split=None, file_format=None)
    earlier = None if options.vocabulary is None else InteractionDataset.open(options.vocabulary).item_vocabulary
    encoder = encoder or NumpyEncoder()
    with _output(options) as (root, job), tempfile.TemporaryDirectory(prefix="tfrec-") as folder:
        scratch = Path(folder)
        with duckdb.connect() as reader:
            item_sources = open_files(item_files, reader, scratch / "items", progress)
        work = WorkDatabase(scratch / "work", options.memory_limit)
        final = scratch / "final"
        final.mkdir()
        item_rows: list[int] = []
        columns = None

        def read_items(loaded: LoadedEvents) -> None:
            nonlocal columns
            if item_sources:
                columns = find_item_columns(side, item_sources, loaded.roles.item)
                item_rows.extend(load_items(work, side, item_sources, columns, loaded.id_types[side.letter]))

        try:
            conversion = prepare_conversion(
                jobs,
                options,
                files,
                job,
                work,
                earlier=earlier,
                load_items=read_items,
                progress=progress,
                buckets=buckets,
            )
            vocabularies = {"item": read_vocabulary(work, "i")}
            if conversion.plan.loaded.roles.user:
                vocabularies["user"] = read_vocabulary(work, "u")
            items = None
            if columns is not None:
                rows = source_records(item_sources, [item.checksum() for item in item_sources], item_rows)
                items = write_items(work, side, columns, rows, encoder, None if options.dry_run else final)
                vocabularies |= items.vocabularies
        finally:
            work.close()
        schema = dataset_schema(conversion.plan.loaded, vocabularies, items.features if items else [])
        shards = {}
        if not options.dry_run:
            progress("writing", 0, 0)
            ending = ".tfrecord.gz" if options.compression == "gzip" else ".tfrecord"
            name = "{split}/part-{number:05d}-of-{count:05d}" + ending
            shards = conversion.write(IndexedExamples(encoder), root, name, gzip=options.compression == "gzip")
        written = write_vocabularies(vocabularies, final)
        parts = conversion.manifest_parts(written, shards, schema, items.record if items else None)
        manifest = build_manifest(options, parts)
        if not options.dry_run:
            (final / SCHEMA_NAME).write_text(schema.to_text())
            for path in sorted(final.rglob("*")):
                if path.is_file():
                    job_files.publish(path, job_files.join(root, path.relative_to(final).as_posix()))
            job_files.write_bytes(job_files.join(root, MANIFEST_NAME), manifest.to_json().encode())
        return manifest


@contextmanager
def _output(options: ConversionOptions) -> Iterator[tuple[str, str]]:
    """Context with the directory to write to and that of the job; local output gets its name when it is whole."""
    if options.dry_run and not scheme_of(options.output):
        check_output(Path(options.output), options.overwrite)
        with tempfile.TemporaryDirectory(prefix="tfrec-") as folder:
            yield options.output, folder
    elif scheme_of(options.output):
        manifest = job_files.join(options.output, MANIFEST_NAME)
        if job_files.exists(manifest):
            if not options.overwrite:
                raise DataError(
                    "There is a dataset.", file=options.output, remedy="Choose another --output, or pass --overwrite."
                )
            job_files.remove(options.output)
        with _job(f"{options.output.rstrip('/')}.partial") as job:
            yield options.output.rstrip("/"), job
    else:
        mark = json.dumps([options.fingerprint(), "beam"])
        output = PartialOutput(options, mark)
        with output.open() as (root, _):
            yield str(root.resolve()), str((root / "work" / "job").resolve())
            output.finish()


@contextmanager
def _job(directory: str) -> Iterator[str]:
    job_files.remove(directory)
    try:
        yield directory
    finally:
        job_files.remove(directory)
