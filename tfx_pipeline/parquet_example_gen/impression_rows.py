"""Impressions passed through row by row for click models, every column that has a role under its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.config.impression_schema import ImpressionSchema
from tfrec.data.beam import job_files
from tfrec.data.beam.example_shards import ShardLayout, ShardSink, shard_records
from tfrec.data.beam.job_runner import Guarded, JobRunner, raise_task_errors
from tfrec.data.impressions.column_values import label_column
from tfrec.data.impressions.impression_conversion import conversion_manifest, given_sources
from tfrec.data.impressions.impression_manifest import ImpressionSplit
from tfrec.data.impressions.impression_options import ImpressionOptions
from tfrec.data.impressions.impression_sources import ImpressionSource
from tfrec.data.impressions.row_plan import SPLITS, Folds, assign_rows
from tfrec.data.manifest import ShardRecord
from tfrec.errors import ConfigError
from tfx_pipeline.conversion_record import RECORD_NAME
from tfx_pipeline.impressions.roles import expanded_roles
from tfx_pipeline.parquet_example_gen.raw_impressions import raw_impressions

_ROWS_PER_SHARD = 200_000
_MOST_SHARDS = 256


@dataclass(frozen=True)
class RowPiece:
    """One row group, and the split of each of its rows (see `row_plan`).

    Attributes:
        path: The file.
        group: Number of the row group.
        first: Position of its first row over all files.
        folds: One byte per row.
        number: Number of the piece.
    """

    path: str
    group: int
    first: int
    folds: bytes
    number: int


def write_impressions(
    jobs: JobRunner, options: ImpressionOptions, root: str, file: str, directory: str
) -> dict[str, list[ShardRecord]]:
    """Writes one example per row, see `tfx_pipeline.impressions.roles`, and the record of the conversion beside them.

    Args:
        jobs: The engine.
        options: Files, roles of columns, split rule and seed.
        root: Directory of the splits.
        file: Name of a shard with places for `split`, `number` and `count`.
        directory: Directory for the files of the job, which all workers can read and write.

    Returns:
        The records of the shards of every split that has rows.

    Raises:
        ConfigError: A file is not Parquet.
        DataError: A column is missing, or has a value that does not suit its role.
    """
    sources = _sources(options)
    roles = expanded_roles(options.impressions, sources)
    folds = assign_rows(options, sources)
    pieces = _pieces(sources, folds.tobytes())
    counts = {split: int(np.sum(folds == number)) for number, split in enumerate(SPLITS)}
    places = {
        split: max(1, min(_MOST_SHARDS, len(pieces), -(-rows // _ROWS_PER_SHARD))) for split, rows in counts.items()
    }
    layout = ShardLayout(root, file, True, {split: list(range(count - 1)) for split, count in places.items()})
    encoder = _RowEncoder(roles, len(pieces), places)

    def build(pipeline: Any) -> None:
        import apache_beam as beam

        _ = (
            pipeline
            | beam.Create(pieces)
            | beam.Reshuffle()
            | beam.FlatMap(Guarded(encoder, directory).flat)
            | beam.GroupByKey()
            | beam.Map(Guarded(ShardSink(directory, layout, ["pos"]), directory))
        )

    jobs.run("impressions", build)
    raise_task_errors(directory)
    clicks = _clicks(sources, roles.label, folds)
    splits = {name: ImpressionSplit(rows=rows, clicks=clicks[name], shards=[]) for name, rows in counts.items() if rows}
    record = conversion_manifest(options, sources, None, splits).model_copy(update={"compression": "gzip"})
    job_files.write_bytes(job_files.join(root, RECORD_NAME), record.model_dump_json().encode())
    return shard_records(directory)


@dataclass(frozen=True)
class _RowEncoder:
    """Encodes pieces; travels to the workers."""

    roles: ImpressionSchema
    pieces: int
    shards: dict[str, int]

    def __call__(self, piece: RowPiece) -> list[tuple[tuple[str, int], bytes]]:
        from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

        columns = [self.roles.label, *self.roles.feature_columns]
        table = pq.ParquetFile(piece.path).read_row_group(piece.group, columns=columns)
        records = RecordBatchToExamplesEncoder().encode(raw_impressions(table, self.roles, piece.path))
        folds = np.frombuffer(piece.folds, np.uint8)
        encoded = pa.array(records, pa.large_binary())
        found = []
        for fold, split in enumerate(SPLITS):
            rows = np.flatnonzero(folds == fold)
            if len(rows):
                chosen = {
                    "pos": pa.array(rows + piece.first),
                    "length": pa.array(np.ones(len(rows), np.int64)),
                    "record": encoded.take(pa.array(rows)),
                }
                shard = piece.number * self.shards[split] // self.pieces
                found.append(((split, shard), job_files.to_bytes(pa.table(chosen))))
        return found


def _sources(options: ImpressionOptions) -> list[ImpressionSource]:
    sources = given_sources(options)
    for source in sources:
        if source.file.format != "parquet":
            raise ConfigError(f"ParquetExampleGen reads Parquet only; `{source.path}` is {source.file.format}.")
    return sources


def _pieces(sources: Sequence[ImpressionSource], folds: bytes) -> list[RowPiece]:
    pieces: list[RowPiece] = []
    first = 0
    for source in sources:
        metadata = pq.ParquetFile(source.path).metadata
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            pieces.append(RowPiece(source.path, group, first, folds[first : first + rows], len(pieces)))
            first += rows
    return pieces


def _clicks(sources: Sequence[ImpressionSource], label: str, folds: Folds) -> dict[str, int]:
    """Clicks per split."""
    totals, first = np.zeros(256), 0
    for source in sources:
        for batch in source.batches([label]):
            values = label_column(batch.column(0), label, source.path).values
            totals += np.bincount(folds[first : first + len(values)], values, minlength=256)
            first += len(values)
    return {split: int(totals[number]) for number, split in enumerate(SPLITS)}
