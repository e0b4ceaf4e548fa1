"""Features of items or users from the work database into `items.tfrecord` or `users.tfrecord`, and vocabularies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from tfrec.data.example_encoder import ExampleEncoder, FeatureColumn, string_column
from tfrec.data.item_columns import ItemColumns, ItemFeatureColumn
from tfrec.data.manifest import ItemFeatureRecord, ItemsRecord, SourceRecord
from tfrec.data.schema import FeatureSpec
from tfrec.data.side_files import SideFiles
from tfrec.data.sql import identifier
from tfrec.data.vocabulary import OOV_INDEX, Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError

_TRAINED = "is trained"  # no feature can have this name
_STREAM_ITEMS = 1 << 14
_SHOWN = 5


@dataclass(frozen=True)
class WrittenItems:
    """What `write_items` made.

    Attributes:
        record: The record of the file for the manifest.
        vocabularies: Vocabulary of every category and list, by feature.
        features: Features of the examples, for the schema.
    """

    record: ItemsRecord
    vocabularies: dict[str, Vocabulary]
    features: list[FeatureSpec]


def write_items(
    work: WorkDatabase,
    side: SideFiles,
    columns: ItemColumns,
    sources: list[SourceRecord],
    encoder: ExampleEncoder,
    root: Path | None,
) -> WrittenItems:
    """Writes one example per index of an item (or user), from 2 on and in this order.

    An example has `index`, `known` (1 when there is a row in the files), every feature and, with a title column,
    `title`. Values of categories and lists are indices of the feature's own vocabulary: 0 = missing (categories), 1 = a
    value that no training item has, 2.. = values by the number of training items that have them, descending, ties by
    the value as text, bytes descending. Values of a list are distinct and in the order of the file. A missing number is
    NaN.

    Args:
        work: The work database, with `side.catalogue` and `side.rows`.
        side: What is said of the files.
        columns: Columns of the files.
        sources: The files, for the manifest.
        encoder: Encoder of examples.
        root: Directory that becomes the dataset; None = write nothing.

    Returns:
        What was written.

    Raises:
        DataError: Something in the vocabulary has no row, and that is not allowed.
    """
    if side.missing == "error":
        _check_missing(work, side, sources)
    vocabularies = {}
    with work.stage(f"{side.noun}_features") as stage:
        if not stage.done:
            for number, feature in enumerate(columns.features):
                if feature.kind != "number":
                    _index_values(work, side, number, feature)
    for number, feature in enumerate(columns.features):
        if feature.kind != "number":
            vocabularies[feature.name] = _read_vocabulary(work, side, number, feature)
    totals = _Totals(columns, f"{side.prefix}known")
    name = f"{side.noun}s.tfrecord" + (".gz" if side.compression == "gzip" else "")
    size, digest = 0, ""
    if root is None:
        for batch in work.stream(_examples(side, columns), _STREAM_ITEMS):
            totals.add(batch)
    else:
        size, digest = _write(work, side, columns, totals, encoder, root / name)
    record = ItemsRecord(
        path=name,
        items=totals.items,
        known=totals.known,
        id_column=columns.id,
        title_column=columns.title,
        features=totals.features(),
        missing_items=side.missing,
        cold_items=side.cold,
        sources=sources,
        bytes=size,
        sha256=digest,
    )
    return WrittenItems(record, vocabularies, _specs(side, columns, vocabularies))


def _check_missing(work: WorkDatabase, side: SideFiles, sources: list[SourceRecord]) -> None:
    missing = f"{side.catalogue} ANTI JOIN {side.rows} USING (id)"
    count = work.scalar(f"SELECT count(*) FROM {missing}")
    if count:
        shown = [f"`{row[0]}`" for row in work.rows(f"SELECT id FROM {missing} ORDER BY index LIMIT {_SHOWN}")]
        more = ", ..." if count > _SHOWN else ""
        raise DataError(
            f"{count:,} {side.noun}s of the log have no row here: {', '.join(shown)}{more}.",
            file=", ".join(source.path for source in sources),
            remedy=f"Add them, name the right id column with --{side.noun}s-id-col, or pass --missing-items empty.",
        )


def _index_values(work: WorkDatabase, side: SideFiles, number: int, feature: ItemFeatureColumn) -> None:
    """Makes `vocabulary_item_f<n>` (id, count, index) and `indexed_item_f<n>` (index, list `v` of value indices)."""
    column, table = f"f{number}", _table(side, number)
    joined = f"{side.catalogue} AS c JOIN {side.rows} AS r USING (id)"
    if feature.kind == "list":
        value = f"unnest({column}) AS value, generate_subscripts({column}, 1) AS place"
    else:
        value = f"{column} AS value, 1 AS place"
    values = f"SELECT * FROM (SELECT c.index, c.count > 0 AS warm, {value} FROM {joined}) WHERE value IS NOT NULL"
    work.run(
        f"CREATE TABLE vocabulary_{table} AS SELECT value AS id, count, CAST(row_number() OVER (ORDER BY count DESC, "
        f"CAST(value AS VARCHAR) DESC) + {OOV_INDEX} AS BIGINT) AS index FROM "
        f"(SELECT value, count(DISTINCT index) AS count FROM ({values}) WHERE warm GROUP BY value)"
    )
    distinct = (
        f"SELECT x.index AS index, coalesce(v.index, {OOV_INDEX}) AS v, min(place) AS place FROM ({values}) AS x "
        f"LEFT JOIN vocabulary_{table} AS v ON v.id = x.value GROUP BY 1, 2"
    )
    listed = f"SELECT index, list(v ORDER BY place) AS v FROM ({distinct}) GROUP BY index"
    work.run(f"CREATE TABLE indexed_{table} AS {listed}")


def _table(side: SideFiles, number: int) -> str:
    """Ending of the names of the tables of a feature."""
    return f"{side.noun}_f{number}"


def _read_vocabulary(work: WorkDatabase, side: SideFiles, number: int, feature: ItemFeatureColumn) -> Vocabulary:
    query = f"SELECT id, count FROM vocabulary_{_table(side, number)} ORDER BY index"
    table = work.connection.execute(query).to_arrow_table().combine_chunks()
    kind = pa.int64() if feature.id_type == "int64" else pa.string()
    ids = table["id"].chunk(0) if table.num_rows else pa.array([], kind)
    return Vocabulary(ids, table["count"].to_numpy())


def _examples(side: SideFiles, columns: ItemColumns) -> str:
    """SQL for `_TRAINED` and then the features of every example, in order."""
    chosen = [
        f"c.count > 0 AS {identifier(_TRAINED)}",
        f"CAST(c.index AS BIGINT) AS {side.prefix}index",
        f"CAST(r.id IS NOT NULL AS BIGINT) AS {side.prefix}known",
    ]
    joins = [f"LEFT JOIN {side.rows} AS r ON r.id = c.id"]
    for number, feature in enumerate(columns.features):
        name = identifier(feature.name)
        if feature.kind == "number":
            chosen.append(f"CAST(coalesce(r.f{number}, 'NaN'::DOUBLE) AS FLOAT) AS {name}")
            continue
        joins.append(f"LEFT JOIN indexed_{_table(side, number)} AS x{number} ON x{number}.index = c.index")
        listed = f"CAST(x{number}.v AS BIGINT[])"
        value = f"coalesce({listed}, [])" if feature.kind == "list" else f"coalesce({listed}[1], 0)"
        chosen.append(f"{value} AS {name}")
    if columns.title:
        chosen.append("coalesce(r.title, '') AS title")
    return f"SELECT {', '.join(chosen)} FROM {side.catalogue} AS c {' '.join(joins)} ORDER BY c.index"


@dataclass
class _Totals:
    """Counts and statistics over all examples, added up in their order, so that they are the same every time."""

    columns: ItemColumns
    known_column: str
    items: int = 0
    known: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, list[npt.NDArray[np.float64]]] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch) -> None:
        table = pa.Table.from_batches([batch])
        self.items += table.num_rows
        self.known += int(table[self.known_column].to_numpy().sum())
        warm = table[_TRAINED].to_numpy().astype(bool)  # [items]
        for feature in self.columns.features:
            column = table[feature.name]
            if feature.kind == "number":
                values = column.to_numpy()
                absent = np.isnan(values)
                self.numbers.setdefault(feature.name, []).append(values[warm & ~absent].astype(np.float64))
            elif feature.kind == "list":
                absent = np.diff(_offsets(column)) == 0
            else:
                absent = column.to_numpy() == 0
            self.missing[feature.name] = self.missing.get(feature.name, 0) + int(absent.sum())

    def features(self) -> list[ItemFeatureRecord]:
        records = []
        for feature in self.columns.features:
            statistics: dict[str, Any] = {}
            values = np.concatenate(self.numbers[feature.name]) if feature.kind == "number" else np.zeros(0)
            if len(values):
                statistics = {
                    "mean": float(values.mean()),
                    "std": float(values.std()),
                    "minimum": float(values.min()),
                    "maximum": float(values.max()),
                }
            missing = self.missing[feature.name]
            records.append(ItemFeatureRecord(name=feature.name, kind=feature.kind, missing=missing, **statistics))
        return records


def _write(
    work: WorkDatabase,
    side: SideFiles,
    columns: ItemColumns,
    totals: _Totals,
    encoder: ExampleEncoder,
    path: Path,
) -> tuple[int, str]:
    temporary = path.with_name(path.name + ".tmp")
    options = tf.io.TFRecordOptions(compression_type="GZIP" if side.compression == "gzip" else "")
    with tf.io.TFRecordWriter(str(temporary), options) as writer:
        for batch in work.stream(_examples(side, columns), _STREAM_ITEMS):
            totals.add(batch)
            for example in encoder.encode(list(_feature_columns(batch))):
                writer.write(example)
    temporary.rename(path)
    content = path.read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()


def _feature_columns(batch: pa.RecordBatch) -> Iterator[FeatureColumn]:
    single = np.arange(batch.num_rows + 1, dtype=np.int64)
    table = pa.Table.from_batches([batch])
    for name in table.column_names:
        if name == _TRAINED:
            continue
        array = table[name].chunk(0)
        if pa.types.is_list(array.type):
            yield FeatureColumn(name, array.flatten().to_numpy(zero_copy_only=False), _offsets(table[name]))
        elif pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
            yield FeatureColumn(name, array.to_numpy(zero_copy_only=False), single)
        else:
            yield string_column(name, array)


def _offsets(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    offsets = column.chunk(0).offsets.to_numpy(zero_copy_only=False).astype(np.int64)  # [rows + 1]
    return offsets - offsets[0]


def _specs(side: SideFiles, columns: ItemColumns, vocabularies: dict[str, Vocabulary]) -> list[FeatureSpec]:
    specs = [FeatureSpec(name=f"{side.prefix}{name}", dtype="int64", shape="scalar") for name in ("index", "known")]
    for feature in columns.features:
        if feature.kind == "number":
            specs.append(FeatureSpec(name=feature.name, dtype="float32", shape="scalar"))
            continue
        vocabulary = vocabularies[feature.name]
        specs.append(
            FeatureSpec(
                name=feature.name,
                dtype="int64",
                shape="list" if feature.kind == "list" else "scalar",
                vocabulary=feature.name,
                vocabulary_size=vocabulary.size,
                vocabulary_sha256=vocabulary.content_hash,
                id_type=vocabulary.id_type,
            )
        )
    if columns.title:
        specs.append(FeatureSpec(name="title", dtype="string", shape="scalar"))
    return specs
