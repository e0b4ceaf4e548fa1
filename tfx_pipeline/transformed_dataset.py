"""A dataset directory made of Transform's output, for every reader of tfrec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec.data.column_types import Roles
from tfrec.data.dataset import InteractionDataset, parse_spec
from tfrec.data.manifest import (
    MANIFEST_NAME,
    SCHEMA_NAME,
    ColumnRecord,
    CountRecord,
    FilterRecord,
    IdType,
    Manifest,
    SplitRecord,
    SplitRuleRecord,
)
from tfrec.data.schema import DatasetSchema, FeatureSpec
from tfrec.data.vocabulary import Vocabulary
from tfrec.data.vocabulary_files import write_vocabularies
from tfrec.errors import DataError
from tfrec.version import __version__
from tfx_pipeline.conversion_record import find_record
from tfx_pipeline.dataset_directory import check_replaceable, replaced_dataset
from tfx_pipeline.features import ITEM, NUM_TARGETS, SEQUENCE_FEATURES, SPLITS, TIMESTAMP, USER, USER_ID
from tfx_pipeline.side_inputs import SideInputs
from tfx_pipeline.transformed_shards import SplitScan, place_shards, scan_split


def open_transformed_dataset(
    transform_graph: str,
    examples: Mapping[str, str | Sequence[str]],
    output: Path,
    side: SideInputs | None = None,
) -> InteractionDataset:
    """Writes a dataset directory of sequences around transformed examples and opens it.

    The vocabularies, the schema and the manifest are written; shards are links to the transformed examples. Only where
    a distributed runner left these in another order than `tfrec.convert` would are they written again, sorted.

    Args:
        transform_graph: URI of Transform's output `transform_graph`.
        examples: Per split (`train`, `valid`, `test`) its files, or a directory or glob. Splits without examples are
            left out.
        output: Directory to write; an older dataset there is replaced.
        side: Features and vectors of items and users. Default: none.

    Returns:
        The dataset, equal to what `tfrec.convert` makes of the same log.

    Raises:
        ConfigError: A side feature has the name of a feature of events.
        DataError: No training examples, the output exists and is no dataset, or a file of items or users is unfit.

    Example:
        >>> open_transformed_dataset(graph, {"train": f"{uri}/Split-train"}, Path("DS"))  # doctest: +SKIP
    """
    check_replaceable(output)
    graph = tft.TFTransformOutput(transform_graph)
    files = {split: find_examples(examples[split]) for split in SPLITS if split in examples}
    if not files.get("train"):
        raise DataError("There are no transformed training examples.", file=transform_graph, remedy="Run Transform.")
    raw = graph.raw_metadata.schema
    id_types = {feature.name: _id_type(feature) for feature in raw.feature}
    others = _event_features(graph.transformed_metadata.schema, [feature.name for feature in raw.feature])
    categories = [other.name for other in others if graph.vocabulary_file_by_name(other.name) is not None]
    names = [*(name for name in (ITEM, USER) if name in id_types), *categories]
    ids = {name: _ids(graph.vocabulary_by_name(name), id_types[name]) for name in names}
    sizes = {name: len(values) + 2 for name, values in ids.items()}
    plain = [FeatureSpec(name=ITEM, dtype="int64", shape="sequence"), *_fixed_features(id_types), *others]
    scans = {split: scan_split(paths, parse_spec(plain), sizes) for split, paths in files.items() if paths}
    scans = {split: scan for split, scan in scans.items() if len(scan.lengths)}
    if "train" not in scans:
        raise DataError("There are no transformed training examples.", file=transform_graph, remedy="Check the split.")
    if empty := [name for name in categories if not len(ids[name])]:
        raise DataError("No training event has a value.", column=empty[0], remedy="Leave it out of --event-features.")
    vocabularies = {name: Vocabulary(ids[name], scans["train"].counts[name][2:]) for name in names}
    record, side = _sequence_record(raw) or _unknown_origin(scans, id_types), side or SideInputs()
    with replaced_dataset(output) as root:
        columns = record.columns
        roles = Roles(columns.user, columns.session, columns.item, columns.time)
        written = side.write_features(roles, vocabularies, root, [feature.name for feature in others])
        told = {noun: made.features for noun, made in written.items()}
        schema = DatasetSchema(
            features=[_indexed(feature, vocabularies) for feature in plain],
            item_features=told.get("item", []),
            user_features=told.get("user", []),
        )
        for made in written.values():
            vocabularies |= made.vocabularies
        manifest = _write(root, scans, vocabularies, schema, record)
        manifest = manifest.model_copy(update={f"{noun}s": made.record for noun, made in written.items()})
        (root / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
        side.write_vectors(InteractionDataset.open(root))
    return InteractionDataset.open(output)


def find_examples(where: str | Sequence[str]) -> list[str]:
    """Returns the files of a split, in order.

    Args:
        where: Files, or a directory or glob.

    Raises:
        DataError: There are none.
    """
    patterns = [where] if isinstance(where, str) else list(where)
    found = []
    for pattern in patterns:
        matches = tf.io.gfile.glob(f"{pattern.rstrip('/')}/*" if tf.io.gfile.isdir(pattern) else pattern)
        if not matches:
            raise DataError("No such examples.", file=pattern, remedy="Check the URI of the transformed examples.")
        found += sorted(matches)
    return found


def _sequence_record(raw: schema_pb2.Schema) -> Manifest | None:
    record = find_record(raw)
    return record if isinstance(record, Manifest) else None


def _id_type(feature: schema_pb2.Feature) -> IdType:
    return "string" if feature.type == schema_pb2.BYTES else "int64"


def _ids(values: Sequence[bytes], kind: IdType) -> pa.Array:
    if kind == "int64":
        return pa.array(np.array(values, dtype="S20").astype(np.int64), pa.int64())
    return pa.array(values, pa.binary()).cast(pa.string())


def _fixed_features(id_types: Mapping[str, IdType]) -> list[FeatureSpec]:
    """The features that every transformed example has, but for `item`."""
    features = [
        FeatureSpec(name=TIMESTAMP, dtype="int64", shape="sequence"),
        FeatureSpec(name=USER_ID, dtype=id_types[USER_ID], shape="scalar"),
    ]
    if USER in id_types:
        features.append(FeatureSpec(name=USER, dtype="int64", shape="scalar"))
    return [*features, FeatureSpec(name=NUM_TARGETS, dtype="int64", shape="scalar")]


def _event_features(schema: schema_pb2.Schema, order: Sequence[str]) -> list[FeatureSpec]:
    """The further features of transformed examples: in the order of the raw ones, then those made of others."""
    names: Any = {schema_pb2.INT: "int64", schema_pb2.FLOAT: "float32", schema_pb2.BYTES: "string"}
    found = [
        FeatureSpec(name=feature.name, dtype=names[feature.type], shape="sequence")
        for feature in schema.feature
        if feature.name not in SEQUENCE_FEATURES
    ]
    return sorted(found, key=lambda feature: order.index(feature.name) if feature.name in order else len(order))


def _indexed(feature: FeatureSpec, vocabularies: Mapping[str, Vocabulary]) -> FeatureSpec:
    vocabulary = vocabularies.get(feature.name)
    if vocabulary is None:
        return feature
    return feature.model_copy(
        update={
            "vocabulary": feature.name,
            "vocabulary_size": vocabulary.size,
            "vocabulary_sha256": vocabulary.content_hash,
            "id_type": vocabulary.id_type,
        }
    )


def _write(
    root: Path,
    scans: Mapping[str, SplitScan],
    vocabularies: Mapping[str, Vocabulary],
    schema: DatasetSchema,
    record: Manifest,
) -> Manifest:
    vocabulary_records = write_vocabularies(vocabularies, root)
    (root / SCHEMA_NAME).write_text(schema.to_text())
    splits = {split: _split_record(scan, record, root, split) for split, scan in scans.items()}
    items = vocabularies[ITEM]
    counts = {"items": items.size - 2, "cold_items": int((items.counts[2:] == 0).sum())}
    return record.model_copy(
        update={
            "vocabularies": vocabulary_records,
            "splits": splits,
            "schema_hash": schema.hash,
            "counts": record.counts.model_copy(update=counts),
            "compression": "gzip",
            "sequence_order": "time",
        }
    )


def _split_record(scan: SplitScan, record: Manifest, root: Path, split: str) -> SplitRecord:
    known = record.splits.get(split)
    if known is not None and known.sequences != len(scan.lengths):
        raise DataError(
            f"The split `{split}` has {len(scan.lengths):,} transformed examples, ParquetExampleGen wrote "
            f"{known.sequences:,}.",
            file=scan.files[0],
            remedy="Pass all files of the split, from the same run.",
        )
    return SplitRecord(
        sequences=len(scan.lengths),
        events=int(scan.lengths.sum()),
        own_events=known.own_events if known else None,
        targets=scan.targets,
        unknown_item_events=known.unknown_item_events if known else 0,
        first_time=int(scan.first.min()),
        last_time=int(scan.last.max()),
        min_length=int(scan.lengths.min()),
        mean_length=float(scan.lengths.mean()),
        median_length=float(np.median(scan.lengths)),
        max_length=int(scan.lengths.max()),
        shards=place_shards(scan, root, split),
    )


def _unknown_origin(scans: Mapping[str, SplitScan], id_types: Mapping[str, IdType]) -> Manifest:
    """The record of examples that were not made by ParquetExampleGen: only what the examples themselves tell."""
    events = sum(int(scan.lengths.sum()) for scan in scans.values())
    users = len(pa.chunked_array([scan.user_ids for scan in scans.values()]).unique())
    return Manifest(
        producer=f"tfrec {__version__}",
        sources=[],
        columns=ColumnRecord(
            user=USER_ID if USER in id_types else None,
            session=None if USER in id_types else USER_ID,
            item=ITEM,
            time=TIMESTAMP,
            user_id_type=id_types[USER_ID],
            item_id_type=id_types[ITEM],
            time_unit="ms",
            time_unit_reason="examples hold milliseconds",
        ),
        filters=FilterRecord(
            session_gap_seconds=None, drop_consecutive_duplicates=False, mode="none", min_seq_len=2, min_item_count=1
        ),
        split=SplitRuleRecord(rule="given", unknown_items="oov", note="examples given per split, of unknown origin"),
        seed=0,
        counts=CountRecord(
            events_read=events,
            events=events,
            sequences=sum(len(scan.lengths) for scan in scans.values()),
            users=users,
            items=0,
        ),
        first_time=min(int(scan.first.min()) for scan in scans.values()),
        last_time=max(int(scan.last.max()) for scan in scans.values()),
        compression="gzip",
        vocabularies={},
        splits={},
        schema_hash="",
    )
