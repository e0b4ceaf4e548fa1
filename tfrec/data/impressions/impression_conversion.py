"""From impression logs to a dataset directory by streaming, resumable and all or nothing."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import ValidationError

from tfrec.config.impression_schema import ImpressionSchema
from tfrec.data.example_encoder import NumpyEncoder
from tfrec.data.impressions.column_values import Rows
from tfrec.data.impressions.fields import FIELDS_FILE, FieldEncoder
from tfrec.data.impressions.fit_fields import FieldFit
from tfrec.data.impressions.impression_manifest import ImpressionManifest, ImpressionSourceRecord, ImpressionSplit
from tfrec.data.impressions.impression_options import ImpressionOptions
from tfrec.data.impressions.impression_sources import ImpressionSource, check_columns, expand_names, open_sources
from tfrec.data.impressions.impression_writer import ImpressionWriter
from tfrec.data.impressions.row_plan import SPLITS, UNUSED, Folds, assign_rows
from tfrec.data.manifest import MANIFEST_NAME, SCHEMA_NAME
from tfrec.data.partial_output import PartialOutput, check_output
from tfrec.data.shard_bounds import shard_bounds
from tfrec.errors import DataError
from tfrec.files import write_json
from tfrec.version import __version__

Progress = Callable[[str, int, int], None]
_Result = TypeVar("_Result")
_THREADS = 2
_AHEAD = 4


def convert_impressions(options: ImpressionOptions, *, progress: Progress | None = None) -> ImpressionManifest:
    """Converts impression logs to a dataset directory.

    Two passes over the files: the first learns vocabularies and scalings of the training rows, the second writes
    examples. Memory holds a few batches of rows, one byte per row and the vocabularies, whatever the size of the
    files. Everything is written to `<output>.partial` and renamed when it is whole; with `resume` an interrupted
    conversion goes on at the first shard that is not finished, and ends with the same bytes.

    Args:
        options: What to read and how to split it.
        progress: Called as `progress(stage, done, total)`.

    Returns:
        The manifest (with `dry_run`: without shards).

    Raises:
        DataError: The input or an existing output is unfit; the message names file, column and what to do.
    """
    report = progress or (lambda stage, done, total: None)
    sources = given_sources(options)
    schema = expanded_schema(options.impressions, sources)
    check_columns(sources, [schema.label, *schema.feature_columns])
    if options.dry_run:
        check_output(Path(options.output), options.overwrite)
        return conversion_manifest(options, sources, None, {})
    stamps = [[source.path, source.file.size, source.file.stamp] for source in sources]
    output = PartialOutput(options, json.dumps([options.fingerprint(), __version__, stamps]))
    with output.open() as (root, finished):
        if not finished:
            folds = _cached_folds(options, sources, root / "work" / "folds.npy")
            encoder = _fitted(options, schema, sources, folds, root, report)
            splits = _write(options, encoder, sources, folds, root, report)
            (root / SCHEMA_NAME).write_text(encoder.schema.to_text())
            manifest = conversion_manifest(options, sources, encoder, splits)
            write_json(root / MANIFEST_NAME, manifest.model_dump(mode="json"))
        path = output.finish()
    return ImpressionManifest.from_json((path / MANIFEST_NAME).read_bytes(), file=str(path / MANIFEST_NAME))


def given_sources(options: ImpressionOptions) -> list[ImpressionSource]:
    """Opens the files of all splits, in the order in which their rows are numbered.

    Raises:
        DataError: A file is missing, damaged, remote or of another format.
    """
    sources = []
    given = {None: options.input, "train": options.train, "valid": options.valid, "test": options.test}
    for split, patterns in given.items():
        sources += open_sources(patterns, split=split, file_format=options.format)
    return sources


def expanded_schema(schema: ImpressionSchema, sources: list[ImpressionSource]) -> ImpressionSchema:
    """Returns a schema with the columns that its patterns match in the first file.

    Raises:
        DataError: A pattern matches nothing, or a column that has another role.
    """
    numbers = []
    for column in schema.numeric:
        numbers += [column.model_copy(update={"name": name}) for name in expand_names([column.name], sources[0])]
    values = schema.model_dump()
    try:
        return ImpressionSchema.model_validate({**values, "numeric": [number.model_dump() for number in numbers]})
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise DataError(
            f"With the columns that patterns match, {problem}.",
            file=sources[0].path,
            remedy="Narrow the patterns of the schema.",
        ) from error


def _cached_folds(options: ImpressionOptions, sources: list[ImpressionSource], cache: Path) -> Folds:
    if cache.exists():
        folds: Folds = np.load(cache)
        return folds
    folds = assign_rows(options, sources)
    temporary = cache.with_suffix(".tmp.npy")
    np.save(temporary, folds)
    temporary.rename(cache)
    return folds


def _stream(
    sources: list[ImpressionSource], columns: list[str], folds: Folds
) -> Iterator[tuple[ImpressionSource, pa.RecordBatch, Folds, Rows]]:
    """Batches of all files with the splits and numbers of their rows; leading rows that are not used are not read."""
    used = folds != UNUSED
    first = int(np.argmax(used)) if used.any() else len(folds)
    before = 0
    for source in sources:
        if before + source.rows > first:
            row = max(first - before, 0)
            position = before + row
            for batch in source.batches(columns, row):
                numbers = np.arange(position - before, position - before + batch.num_rows)
                yield source, batch, folds[position : position + batch.num_rows], numbers
                position += batch.num_rows
            if position != before + source.rows:
                raise DataError(
                    f"The file has {position - before:,} rows, {source.rows:,} were expected.",
                    file=source.path,
                    remedy="It changed while it was read: run again.",
                )
        before += source.rows


def _fitted(
    options: ImpressionOptions,
    schema: ImpressionSchema,
    sources: list[ImpressionSource],
    folds: Folds,
    root: Path,
    report: Progress,
) -> FieldEncoder:
    if (root / FIELDS_FILE).exists():
        return FieldEncoder.load(root)
    fit = FieldFit(schema, seed=options.seed)
    training = np.where(folds == 0, np.uint8(0), UNUSED)
    total, done = int(np.count_nonzero(training == 0)), 0
    for source, batch, part, numbers in _stream(sources, schema.feature_columns, training):
        rows = _rows(batch, part == 0)
        if rows.num_rows:
            fit.add(rows, file=source.path, rows=numbers[part == 0])
            done += rows.num_rows
            report("fitting", done, total)
    encoder = fit.finish()
    encoder.save(root)  # `fields.json` last: with it the fit counts as done
    return encoder


def _write(
    options: ImpressionOptions,
    encoder: FieldEncoder,
    sources: list[ImpressionSource],
    folds: Folds,
    root: Path,
    report: Progress,
) -> dict[str, ImpressionSplit]:
    writers: dict[int, ImpressionWriter] = {}
    left = folds.copy()
    for fold, split in enumerate(SPLITS):
        rows = np.flatnonzero(folds == fold)
        if len(rows):
            bounds = shard_bounds(len(rows), options.shards)
            writers[fold] = ImpressionWriter(root, split, bounds, options.compression, root / "work" / f"{split}.jsonl")
            left[rows[: writers[fold].finished_rows]] = UNUSED
    total = int(np.count_nonzero(folds != UNUSED))
    done = total - int(np.count_nonzero(left != UNUSED))
    columns = [encoder.fields.label, *encoder.fields.columns]
    serialize = NumpyEncoder()

    def encode(
        source: ImpressionSource, batch: pa.RecordBatch, part: Folds, numbers: Rows
    ) -> tuple[list[bytes], Any, Folds]:
        used = part != UNUSED
        rows = _rows(batch, used)
        features = encoder.encode(rows, file=source.path, rows=numbers[used])
        label = encoder.labels(rows, file=source.path, rows=numbers[used])
        return serialize.encode([*features.values(), label]), label.values, part[used]

    try:
        for examples, labels, part in _in_order(encode, _stream(sources, columns, left)):
            for fold, writer in writers.items():
                chosen = np.flatnonzero(part == fold)
                writer.write([examples[row] for row in chosen.tolist()], labels[chosen])
            done += len(examples)
            report("writing", done, total)
    finally:
        for writer in writers.values():
            writer.close()
    return {
        SPLITS[fold]: ImpressionSplit(
            rows=sum(shard.rows for shard in writer.shards),
            clicks=sum(shard.clicks for shard in writer.shards),
            shards=writer.shards,
        )
        for fold, writer in writers.items()
    }


def _in_order(function: Callable[..., _Result], tasks: Iterator[tuple[Any, ...]]) -> Iterator[_Result]:
    """Calls a function in threads, a few calls ahead, and yields the results in order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[_Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(function, *task))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _rows(batch: pa.RecordBatch, wanted: npt.NDArray[np.bool_]) -> pa.RecordBatch:
    return batch if wanted.all() else batch.filter(pa.array(wanted))


def conversion_manifest(
    options: ImpressionOptions,
    sources: list[ImpressionSource],
    encoder: FieldEncoder | None,
    splits: dict[str, ImpressionSplit],
) -> ImpressionManifest:
    """Returns the manifest of a conversion.

    Args:
        options: What was read and how it was split.
        sources: The files.
        encoder: What the training rows taught; None where nothing was learned yet.
        splits: The splits, without shards where none were written yet.
    """
    return ImpressionManifest(
        tfrec_version=__version__,
        sources=[
            ImpressionSourceRecord(
                path=source.path,
                format=source.file.format,
                split=source.file.split,
                bytes=source.file.size or 0,
                stamp=source.file.stamp,
                rows=source.rows,
            )
            for source in sources
        ],
        options=json.loads(options.fingerprint()),
        fields_hash="" if encoder is None else encoder.hash,
        schema_hash="" if encoder is None else encoder.schema.hash,
        compression=options.compression,
        rows_read=sum(source.rows for source in sources),
        splits=splits,
    )
