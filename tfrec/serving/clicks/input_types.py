"""As what clients send the columns that a click model reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import tensorflow as tf

from tfrec.config.click_export_config import InputType
from tfrec.data.impressions.fields import Field, FieldEncoder
from tfrec.data.impressions.impression_sources import check_columns, open_sources
from tfrec.errors import ConfigError, did_you_mean
from tfrec.serving.client.click_inputs import LENGTH, MISSING_NUMBER, input_name

_WHOLE = re.compile(r"[+-]?[0-9]+")
_DTYPES = {"text": tf.string, "int64": tf.int64, "float": tf.float64}
_MISSING: dict[InputType, str | int | float] = {"text": "", "int64": MISSING_NUMBER, "float": float("nan")}


@dataclass(frozen=True)
class InputColumn:
    """A column as clients send it.

    Attributes:
        field: The fitted feature.
        name: Name of the input: that of the column, with `_` for what names of inputs cannot hold.
        type: Type of its values.
    """

    field: Field
    name: str
    type: InputType

    @property
    def dtype(self) -> tf.DType:
        """Type of the tensor of its values."""
        return _DTYPES[self.type]

    @property
    def missing(self) -> str | int | float:
        """What is sent where a value is missing."""
        return _MISSING[self.type]


def input_columns(encoder: FieldEncoder, types: Mapping[str, InputType]) -> list[InputColumn]:
    """Returns the inputs of a click model in the order of its fields.

    Args:
        encoder: Fitted features.
        types: Types by column. Default: numbers as floats, all others as text.

    Raises:
        ConfigError: A type is of an unknown column or does not suit it, or two columns get the same name.
    """
    fields = encoder.fields
    for name in types:
        if fields.named(name) is None:
            raise ConfigError(f"`types` names `{name}`.", remedy=did_you_mean(name, fields.columns))
    found = [
        InputColumn(field, input_name(field.name), types.get(field.name, "float" if field.kind == "number" else "text"))
        for field in fields.fields
    ]
    for column in found:
        _check(column, encoder)
    names = [name for c in found for name in ([c.name, c.name + LENGTH] if c.field.is_list else [c.name])]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"Two columns become the input `{twice[0]}`.", remedy="Rename one of them, convert and train again."
        )
    return found


def types_like(path: Path, encoder: FieldEncoder) -> dict[str, InputType]:
    """Returns the types that the columns of a Parquet file have, where they differ from the default.

    Args:
        path: The file.
        encoder: Fitted features.

    Raises:
        DataError: The file is missing or damaged, or lacks a column.
    """
    sources = open_sources((str(path),), split=None, file_format="parquet")
    check_columns(sources, encoder.fields.columns)
    found: dict[str, InputType] = {}
    for field in encoder.fields.fields:
        kind: Any = sources[0].columns[field.name]
        while hasattr(kind, "value_type"):  # lists of any kind, dictionaries
            kind = kind.value_type
        if pa.types.is_integer(kind):
            found[field.name] = "int64"
        elif pa.types.is_floating(kind) and field.kind != "ids" and _all_whole(field, encoder):
            found[field.name] = "float"
    return found


def _check(column: InputColumn, encoder: FieldEncoder) -> None:
    field, kind = column.field, column.type
    if field.kind == "number" and kind == "text":
        raise ConfigError(f"`{field.name}` is a number and cannot be sent as text.", remedy="Take float or int64.")
    if field.kind == "ids" and kind == "float":
        raise ConfigError(f"`{field.name}` is a list of ids.", remedy="Take text or int64.")
    if field.kind in ("category", "ids") and kind != "text" and not _all_whole(field, encoder):
        raise ConfigError(
            f"`{field.name}` has values that are no whole numbers and cannot be sent as {kind}.", remedy="Take text."
        )


def _all_whole(field: Field, encoder: FieldEncoder) -> bool:
    """Whether all known values of a column are whole numbers; true of numbers, which have no known values."""
    if field.vocabulary is None:
        return True
    return all(_WHOLE.fullmatch(str(raw)) for raw in encoder.vocabularies[field.vocabulary].ids.tolist())
