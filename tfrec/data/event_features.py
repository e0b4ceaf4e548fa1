"""Categories of events, as the kind of behaviour: from columns of the log to lists of indices beside the items."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tfrec.data.column_types import id_type, is_loose, read_value
from tfrec.data.manifest import IdType
from tfrec.data.schema import FeatureSpec
from tfrec.data.source_files import SourceFile
from tfrec.data.sql import identifier
from tfrec.data.vocabulary import OOV_INDEX, PADDING_INDEX, Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import ConfigError, DataError, did_you_mean

RESERVED_NAMES = ("item", "timestamp", "user", "user_id", "num_targets", "length")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class EventFeature:
    """A category of events.

    Attributes:
        name: Name of the column and of the feature.
        id_type: Type of its values.
    """

    name: str
    id_type: IdType


def check_event_features(names: Sequence[str], sources: Sequence[SourceFile], taken: Sequence[str]) -> None:
    """Checks that columns can be features of events.

    Args:
        names: The columns.
        sources: Input files.
        taken: Names of item features, whose vocabularies lie in the same place.

    Raises:
        ConfigError: A name is given twice, reserved, or no name.
        DataError: A file lacks a column.
    """
    for number, name in enumerate(names):
        if name in (*RESERVED_NAMES, *taken, *names[:number]) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"The column `{name}` cannot be an event feature of that name.",
                remedy=f"Names are of letters, digits and _, given once; {', '.join(RESERVED_NAMES)} and those of item "
                "features are taken.",
            )
        for source in sources:
            if name not in source.columns:
                raise DataError(
                    f"The column `{name}` (--event-features) does not exist.",
                    file=source.path,
                    remedy=did_you_mean(name, source.columns),
                )


def load_event_features(
    work: WorkDatabase, sources: list[SourceFile], names: Sequence[str], rows: Sequence[int]
) -> list[EventFeature]:
    """Makes the table `event_values` (pos, f0, f1 ...), where `pos` is the position of an event in the input.

    Values are text there, null where there is none. They are integers in the data set when every one is a canonical
    integer.

    Args:
        work: The work database, with `folded` and `sequences_train`.
        sources: Input files, checked by `check_event_features`.
        names: Columns.
        rows: Rows of each file.

    Returns:
        The features. Their vocabularies (tables `vocabulary_e0`, `vocabulary_e1` ...) count training events; ties go by
        the value as text, bytes descending.

    Raises:
        DataError: No training event has a value of a feature: there is nothing to learn of it.
    """
    if not names:
        return []
    with work.stage("event_features") as stage:
        if not stage.done:
            columns = ", ".join(f"f{number} VARCHAR" for number in range(len(names)))
            work.run(f"CREATE TABLE event_values (pos BIGINT, {columns})")
            for source, first in zip(sources, (sum(rows[:number]) for number in range(len(rows))), strict=True):
                values = ", ".join(f"nullif(CAST({identifier(name)} AS VARCHAR), '')" for name in names)
                insert = f"SELECT row_number() OVER () - 1 + {first}, {values} FROM {source.relation()}"
                read_value(work, source, f"INSERT INTO event_values {insert}")
            for number, name in enumerate(names):
                kind, guessed = id_type(work, sources, name)
                if guessed and work.scalar(f"SELECT count(*) FROM event_values WHERE {is_loose(f'f{number}')}"):
                    kind = "string"
                stage.facts[name] = kind
                _build_vocabulary(work, number)
                if not work.scalar(f"SELECT count(*) FROM vocabulary_e{number}"):
                    raise DataError(
                        "No training event has a value.",
                        file=", ".join(source.path for source in sources),
                        column=name,
                        remedy="Leave the column out of --event-features.",
                    )
        return [EventFeature(name, stage.facts[name]) for name in names]


def _build_vocabulary(work: WorkDatabase, number: int) -> None:
    trained = "folded SEMI JOIN sequences_train USING (q) JOIN event_values USING (pos)"
    counted = (
        f"SELECT f{number} AS id, count(*) AS count FROM {trained} WHERE fold = 0 AND f{number} IS NOT NULL GROUP BY 1"
    )
    work.run(
        f"CREATE TABLE vocabulary_e{number} AS SELECT id, count, "
        f"CAST(row_number() OVER (ORDER BY count DESC, id DESC) + {OOV_INDEX} AS BIGINT) AS index FROM ({counted})"
    )


def event_vocabularies(work: WorkDatabase, features: Sequence[EventFeature]) -> dict[str, Vocabulary]:
    """Returns the vocabulary of every feature, from the tables of `load_event_features`."""
    found = {}
    for number, feature in enumerate(features):
        table = work.connection.execute(f"SELECT id, count FROM vocabulary_e{number} ORDER BY index").to_arrow_table()
        kind = pa.int64() if feature.id_type == "int64" else pa.string()
        ids = table["id"].combine_chunks().cast(kind)
        ids = pa.concat_arrays(ids.chunks) if isinstance(ids, pa.ChunkedArray) else ids
        found[feature.name] = Vocabulary(ids, table["count"].to_numpy())
    return found


def event_feature_sql(features: Sequence[EventFeature]) -> tuple[str, str]:
    """Returns SQL for the further columns of a query over events that have `pos`, and for the joins they need.

    Indices are 0 where the log has no value, 1 for values without training events.
    """
    columns, joins = "", " LEFT JOIN event_values USING (pos)" if features else ""
    for number, feature in enumerate(features):
        joins += f" LEFT JOIN vocabulary_e{number} AS e{number} ON e{number}.id = f{number}"
        index = f"CASE WHEN f{number} IS NULL THEN {PADDING_INDEX} ELSE coalesce(e{number}.index, {OOV_INDEX}) END"
        columns += f", CAST({index} AS BIGINT) AS {identifier(feature.name)}"
    return columns, joins


def event_feature_specs(features: Sequence[EventFeature], vocabularies: dict[str, Vocabulary]) -> list[FeatureSpec]:
    """Returns the features of the examples, for the schema."""
    return [
        FeatureSpec(
            name=feature.name,
            dtype="int64",
            shape="sequence",
            vocabulary=feature.name,
            vocabulary_size=vocabularies[feature.name].size,
            vocabulary_sha256=vocabularies[feature.name].content_hash,
            id_type=feature.id_type,
        )
        for feature in features
    ]
