"""The manifest and schema of a dataset, from what the stages of a conversion found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.event_loader import LoadedEvents
from tfrec.data.manifest import (
    AuditRecord,
    ColumnRecord,
    CountRecord,
    FilterRecord,
    ItemsRecord,
    Manifest,
    ShardRecord,
    SourceRecord,
    SplitRecord,
    SplitRuleRecord,
    VocabularyRecord,
)
from tfrec.data.schema import DatasetSchema, FeatureSpec
from tfrec.data.source_files import SourceFile
from tfrec.data.splits import SPLITS, SplitPlan
from tfrec.data.vocabulary import Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.version import __version__


@dataclass(frozen=True)
class DatasetTotals:
    """Sequences and users over all splits, each once, and items of the vocabulary without training events."""

    sequences: int
    users: int
    cold_items: int


@dataclass(frozen=True)
class ManifestParts:
    """What the manifest is made of.

    Attributes:
        sources: Input files.
        sizes: Size in bytes and sha256 of each.
        loaded: What loading found out.
        plan: How the events were split.
        dropped: Facts of the filters.
        facts: Facts of `build_sequences`, by split.
        totals: Totals over all splits.
        vocabularies: Records of the vocabulary files.
        shards: Records of the shards, by split.
        schema: The schema.
        audit: The audit, when asked for.
        items: Record of the item features, with item files.
        users: Record of the user features, with user files.
    """

    sources: list[SourceFile]
    sizes: list[tuple[int, str]]
    loaded: LoadedEvents
    plan: SplitPlan
    dropped: dict[str, int]
    facts: dict[str, Any]
    totals: DatasetTotals
    vocabularies: dict[str, VocabularyRecord]
    shards: dict[str, list[ShardRecord]]
    schema: DatasetSchema
    audit: AuditRecord | None
    items: ItemsRecord | None = None
    users: ItemsRecord | None = None


def count_totals(work: WorkDatabase, loaded: LoadedEvents) -> DatasetTotals:
    """Returns the totals over all splits, each sequence and user once, from the tables of the splits."""
    letter = "u" if loaded.roles.user else "s"
    used = " UNION ".join(f"SELECT q FROM sequences_{split}" for split in SPLITS)
    sequences, users = work.row(f"SELECT count(*), count(DISTINCT {letter}) FROM ({used}) JOIN keys USING (q)")
    return DatasetTotals(sequences, users, work.scalar("SELECT count(*) FROM catalogue_i WHERE count = 0"))


def build_manifest(options: ConversionOptions, parts: ManifestParts) -> Manifest:
    """Returns the manifest; it counts every event read as written or as dropped for one reason."""
    loaded = parts.loaded
    fields = set(SplitRecord.model_fields) - {"shards"}
    splits = {
        split: SplitRecord(**{name: parts.facts[split][name] for name in fields}, shards=parts.shards.get(split, []))
        for split in SPLITS
        if parts.facts[split]["sequences"]
    }
    letter = "u" if loaded.roles.user else "s"
    unknown = sum(parts.facts[split]["unknown_item_events"] for split in ("valid", "test"))
    unknown = unknown if options.unknown_items == "drop" else 0
    written = sum(parts.facts[split]["own_events"] for split in SPLITS)
    short = sum(parts.facts[split]["fold_events"] for split in SPLITS) - unknown - written
    return Manifest(
        producer=f"tfrec {__version__}",
        sources=source_records(parts.sources, parts.sizes, loaded.rows),
        columns=ColumnRecord(
            user=loaded.roles.user,
            session=loaded.roles.session,
            item=loaded.roles.item,
            time=loaded.roles.time,
            user_id_type=loaded.id_types[letter],
            item_id_type=loaded.id_types["i"],
            time_unit=loaded.time_unit,
            time_unit_reason=loaded.time_unit_reason,
        ),
        filters=FilterRecord(
            session_gap_seconds=options.session_gap,
            drop_consecutive_duplicates=options.drop_consecutive_duplicates,
            mode=options.filter_mode,
            min_seq_len=options.min_seq_len,
            min_item_count=options.min_item_count,
            where=list(options.where),
        ),
        split=SplitRuleRecord(
            rule=parts.plan.rule,
            boundaries=parts.plan.boundaries,
            parameters=parts.plan.parameters,
            unknown_items=options.unknown_items,
            note=parts.plan.note,
        ),
        seed=options.seed,
        counts=CountRecord(
            events_read=sum(loaded.rows),
            events=written,
            sequences=parts.totals.sequences,
            users=parts.totals.users,
            items=parts.vocabularies["item"].size - 2,
            cold_items=parts.totals.cold_items,
            dropped_events={
                "where": loaded.unselected,
                "consecutive_duplicates": parts.dropped["consecutive_duplicates"],
                "rare_items": parts.dropped["rare_items"],
                "short_sequences": parts.dropped["short_sequences"],
                "crossing_a_boundary": parts.plan.truncated,
                "unknown_items": unknown,
                "too_short_in_split": short,
            },
            dropped_sequences={"before_split": parts.dropped["sequences"]},
        ),
        first_time=min(record.first_time for record in splits.values()),
        last_time=max(record.last_time for record in splits.values()),
        compression=options.compression,
        sequence_order=options.sequence_order,
        vocabularies=parts.vocabularies,
        items=parts.items,
        users=parts.users,
        splits=splits,
        schema_hash=parts.schema.hash,
        audit=parts.audit,
    )


def source_records(sources: list[SourceFile], sizes: list[tuple[int, str]], rows: list[int]) -> list[SourceRecord]:
    """Returns the records of input files, from their sizes in bytes, checksums and rows."""
    return [
        SourceRecord(
            path=source.path, format=source.format, split=source.split, bytes=size, sha256=digest, events=count
        )
        for source, (size, digest), count in zip(sources, sizes, rows, strict=True)
    ]


def dataset_schema(
    loaded: LoadedEvents,
    vocabularies: dict[str, Vocabulary],
    item_features: list[FeatureSpec],
    event_features: Sequence[FeatureSpec] = (),
    user_features: Sequence[FeatureSpec] = (),
) -> DatasetSchema:
    """Returns the schema of the examples that a conversion writes, those of items and users included."""

    def indices(name: str, shape: Any, vocabulary: Vocabulary) -> FeatureSpec:
        return FeatureSpec(
            name=name,
            dtype="int64",
            shape=shape,
            vocabulary=name,
            vocabulary_size=vocabulary.size,
            vocabulary_sha256=vocabulary.content_hash,
            id_type=vocabulary.id_type,
        )

    letter = "u" if loaded.roles.user else "s"
    features = [
        indices("item", "sequence", vocabularies["item"]),
        FeatureSpec(name="timestamp", dtype="int64", shape="sequence"),
        FeatureSpec(name="user_id", dtype=loaded.id_types[letter], shape="scalar"),
    ]
    if "user" in vocabularies:
        features.append(indices("user", "scalar", vocabularies["user"]))
    features.append(FeatureSpec(name="num_targets", dtype="int64", shape="scalar"))
    features.extend(event_features)
    return DatasetSchema(features=features, item_features=item_features, user_features=list(user_features))
