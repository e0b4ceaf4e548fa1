"""Side features of items and users for a dataset whose vocabularies exist already."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import duckdb

from tfrec.data.column_types import Roles
from tfrec.data.conversion_inputs import find_sides, open_files
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.example_encoder import NumpyEncoder
from tfrec.data.item_columns import SideTable, find_side_tables
from tfrec.data.item_loader import load_items
from tfrec.data.item_writer import WrittenItems, write_items
from tfrec.data.manifest_builder import source_records
from tfrec.data.sql import literal
from tfrec.data.vocabulary import Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import ConfigError


def check_sides(options: ConversionOptions, roles: Roles, event_features: Sequence[str] = ()) -> None:
    """Checks that the files have the columns.

    Args:
        options: Names the files.
        roles: Columns of the log.
        event_features: Features of events, whose vocabularies lie in the same place.

    Raises:
        ConfigError: A name or kind that cannot be a feature, or that of a feature of events; or files of users for a
            log without users.
        DataError: A file or column is missing, or a column cannot be of its kind.
    """
    with tempfile.TemporaryDirectory(prefix="tfrec-") as folder, duckdb.connect() as reader:
        _open(options, roles, event_features, reader, Path(folder))


def add_sides(
    options: ConversionOptions,
    roles: Roles,
    vocabularies: Mapping[str, Vocabulary],
    root: Path,
    event_features: Sequence[str] = (),
) -> dict[str, WrittenItems]:
    """Writes what `convert` writes of files of items and users: `items.tfrecord`, `users.tfrecord`.

    Args:
        options: Names the files.
        roles: Columns of the log.
        vocabularies: `item` and, in a log with users, `user`: of them the files tell features.
        root: Directory that becomes the dataset.
        event_features: As of `check_sides`.

    Returns:
        What was written by noun, `item` and `user`.

    Raises:
        ConfigError, DataError: As of `check_sides`; or a value is unfit, or an item has no row where that is not
            allowed; with file, column and row.
    """
    with tempfile.TemporaryDirectory(prefix="tfrec-") as folder, duckdb.connect() as reader:
        scratch = Path(folder)
        tables = _open(options, roles, event_features, reader, scratch)
        work = WorkDatabase(scratch / "work", options.memory_limit)
        try:
            written: dict[str, WrittenItems] = {}
            for table in tables:
                side = table.side
                file = scratch / f"{side.noun}.parquet"
                vocabulary = vocabularies[side.noun]
                file.write_bytes(vocabulary.to_parquet())
                known = f"SELECT id, index::BIGINT AS index, count FROM {literal(str(file))}"
                work.run(f"CREATE TABLE {side.catalogue} AS {known}")
                rows = load_items(work, side, table.sources, table.columns, vocabulary.id_type)
                files = source_records(table.sources, [source.checksum() for source in table.sources], rows)
                written[side.noun] = write_items(work, side, table.columns, files, NumpyEncoder(), root)
        finally:
            work.close()
    return written


def _open(
    options: ConversionOptions,
    roles: Roles,
    event_features: Sequence[str],
    reader: duckdb.DuckDBPyConnection,
    scratch: Path,
) -> list[SideTable]:
    opened = {side: open_files(files, reader, scratch / side.noun) for side, files in find_sides(options).items()}
    tables = find_side_tables(opened, roles)
    for feature in chain.from_iterable(table.columns.features for table in tables):
        if feature.name in event_features:
            raise ConfigError(
                f"`{feature.name}` is a feature of events and of items or users.",
                remedy="Rename the column in one of the files, or leave it out of --item-features or --user-features.",
            )
    return tables
