"""The schema that raw impressions are held against; people may edit the copy of it in the pipeline's directory."""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec.config.impression_schema import ImpressionSchema
from tfx_pipeline.raw_schema import MOST_DRIFT

MOST_NUMBER_DRIFT = 0.3
"""Jensen-Shannon divergence of a number, between the last run that passed and this one."""

MARK = "tfrec impressions"
"""Annotation by which the schema of impressions is known."""


def impression_schema(roles: ImpressionSchema, day_column: str | None = None) -> schema_pb2.Schema:
    """Returns the schema of raw examples of impressions (see `tfx_pipeline.impressions.roles`).

    Drift between runs is bounded per column, but not that of days, which change by nature.

    Args:
        roles: Roles of columns without patterns.
        day_column: Column by which rows are split.

    Returns:
        Types and presence of every feature; everything is ragged in Transform.
    """
    schema = schema_pb2.Schema(represent_variable_length_as_ragged=True)
    schema.annotation.comment.append(MARK)
    label = schema.feature.add(name=roles.label, type=schema_pb2.INT)
    label.int_domain.min, label.int_domain.max, label.int_domain.name = 0, 1, roles.label
    _always_one(label)
    for category in roles.categorical:
        feature = _at_most_one(schema.feature.add(name=category.name, type=schema_pb2.BYTES))
        if category.name != day_column:
            feature.drift_comparator.infinity_norm.threshold = MOST_DRIFT
    for number in roles.numeric:
        feature = _at_most_one(schema.feature.add(name=number.name, type=schema_pb2.FLOAT))
        feature.drift_comparator.jensen_shannon_divergence.threshold = MOST_NUMBER_DRIFT
    for part in roles.sequence:
        feature = schema.feature.add(name=part.name, type=schema_pb2.BYTES if part.kind == "ids" else schema_pb2.FLOAT)
        feature.presence.min_count = 1
        if part.kind == "ids":
            feature.drift_comparator.infinity_norm.threshold = MOST_DRIFT
    return schema


def is_impression_schema(schema: schema_pb2.Schema) -> bool:
    """Returns whether a schema was made by `impression_schema`."""
    return MARK in schema.annotation.comment


def _always_one(feature: schema_pb2.Feature) -> None:
    feature.presence.min_fraction, feature.presence.min_count = 1.0, 1
    feature.shape.dim.add(size=1)


def _at_most_one(feature: schema_pb2.Feature) -> schema_pb2.Feature:
    feature.presence.min_count = 1  # a column without any value is an anomaly
    feature.value_count.min = feature.value_count.max = 1
    return feature
