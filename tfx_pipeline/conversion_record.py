"""What ParquetExampleGen found out about the log, carried in the schema so that it reaches the trainer."""

from __future__ import annotations

import json

from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec.data.impressions.impression_manifest import KIND, ImpressionManifest
from tfrec.data.manifest import Manifest

Record = Manifest | ImpressionManifest
"""Manifest of a conversion of sequences or of impressions, without vocabularies and shards."""

RECORD_NAME = "conversion.json"
"""File beside the splits of raw examples: manifest of the conversion, without vocabularies and shards."""

ITEMS_NAME = "items.parquet"
"""File beside them with the training items and their counts."""

ORDER_NAME = "row_order.json"
"""File beside them with the rows that are earlier than the row before of the same user or session."""

_MARK = "tfrec conversion "


def parse_record(content: bytes | str, *, file: str) -> Record:
    """Returns the record in a JSON document.

    Raises:
        DataError: It was written by another version and cannot be read.
    """
    try:
        kind = json.loads(content).get("kind")
    except ValueError:
        kind = None  # the next line says what is wrong
    if kind != KIND:
        return Manifest.from_json(content, file=file)
    return ImpressionManifest.from_json(content if isinstance(content, bytes) else content.encode(), file=file)


def with_record(schema: schema_pb2.Schema, record: Record) -> schema_pb2.Schema:
    """Returns a copy of a schema with the record among its annotations; Transform keeps them in its graph's metadata.

    Args:
        schema: Any schema.
        record: Manifest of the conversion, without vocabularies and shards.
    """
    marked = schema_pb2.Schema()
    marked.CopyFrom(schema)
    others = [comment for comment in marked.annotation.comment if not comment.startswith(_MARK)]
    marked.annotation.comment[:] = [*others, _MARK + record.model_dump_json()]
    return marked


def find_record(schema: schema_pb2.Schema) -> Record | None:
    """Returns the record in a schema, or None when the examples were not made by ParquetExampleGen.

    Raises:
        DataError: The record was written by another version and cannot be read.
    """
    for comment in schema.annotation.comment:
        if comment.startswith(_MARK):
            return parse_record(comment[len(_MARK) :], file="schema.pbtxt")
    return None
