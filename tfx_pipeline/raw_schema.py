"""The curated schema of raw examples, made by code for every layout of a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format  # type: ignore[import-untyped]
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec.data.manifest import IdType
from tfx_pipeline.features import ITEM, NUM_TARGETS, TIMESTAMP, USER, USER_ID

MOST_DRIFT = 0.1
"""Share of events: between the last run that passed and this one."""

MOST_SKEW = 0.2
"""Share of events: between the training split and the later ones."""

MOST_LENGTH_DRIFT = 0.2
"""Jensen-Shannon divergence of the numbers of targets, between the last run that passed and this one."""

_TYPES = {"int64": schema_pb2.INT, "float32": schema_pb2.FLOAT, "string": schema_pb2.BYTES}


@dataclass(frozen=True)
class EventLayout:
    """What the columns of an event log are.

    Attributes:
        users: Whether there is a user column; else sequences are known by their session id.
        user_id_type: Type of the user ids, or of the session ids where there are no users.
        item_id_type: Type of the item ids.
        event_features: Further columns of events: `int64`, `float32` or `string` by name.
    """

    users: bool = False
    user_id_type: IdType = "int64"
    item_id_type: IdType = "int64"
    event_features: Mapping[str, str] = field(default_factory=dict)


def sequence_schema(layout: EventLayout) -> schema_pb2.Schema:
    """Returns the schema of raw sequence examples (see `tfx_pipeline.features`).

    Args:
        layout: What the columns of the log are.

    Returns:
        Types, presence and lengths of every feature; lists are ragged in Transform.
    """
    schema = schema_pb2.Schema(represent_variable_length_as_ragged=True)
    lists = {ITEM: layout.item_id_type, TIMESTAMP: "int64", **layout.event_features}
    for name, kind in lists.items():
        feature = schema.feature.add(name=name, type=_TYPES[kind])
        feature.value_count.min = 2 if name in (ITEM, TIMESTAMP) else 1
        _require(feature)
        if name != TIMESTAMP and kind == "int64":
            feature.int_domain.is_categorical = True
        if name == ITEM:  # no item's share of the events may change by more
            feature.drift_comparator.infinity_norm.threshold = MOST_DRIFT
            feature.skew_comparator.infinity_norm.threshold = MOST_SKEW
    schema.feature[1].int_domain.min = 0  # milliseconds since 1970
    scalars = {USER_ID: layout.user_id_type, NUM_TARGETS: "int64"}
    if layout.users:
        scalars[USER] = layout.user_id_type
    for name, kind in scalars.items():
        feature = schema.feature.add(name=name, type=_TYPES[kind])
        feature.shape.dim.add(size=1)
        _require(feature)
        if name == NUM_TARGETS:
            feature.int_domain.min = 1
            feature.drift_comparator.jensen_shannon_divergence.threshold = MOST_LENGTH_DRIFT
    return schema


def _require(feature: schema_pb2.Feature) -> None:
    feature.presence.min_fraction = 1.0
    feature.presence.min_count = 1


def main() -> None:
    """Writes the committed schema of logs of sessions with int64 ids."""
    path = Path(__file__).parent / "schemas" / "sessions" / "schema.pbtxt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text_format.MessageToString(sequence_schema(EventLayout())))


if __name__ == "__main__":
    main()
