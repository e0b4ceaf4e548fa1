"""The inputs of click models, made from rows of raw columns; needs no TensorFlow."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError, did_you_mean
from tfrec.serving.client.model_metadata import Signature
from tfrec.serving.client.transport import Arrays

MISSING_NUMBER = -(2**63)
"""Stands for a missing value where a column is sent as int64; other numbers are missing as not-a-number."""

LENGTH = "_length"
"""Ends the name of the input that says how long the lists of another one are."""

_TYPES: dict[str, Any] = {"string": object, "int64": np.int64, "float64": np.float64}


@functools.lru_cache(maxsize=4096)
def input_name(column: str) -> str:
    """Returns the input of a column: its name, with `_` for what names of inputs cannot hold."""
    return re.sub(r"[^A-Za-z0-9_]", "_", column).lstrip("_") or "column"


def click_inputs(rows: Sequence[Mapping[str, Any]], signature: Signature) -> Arrays:
    """Returns the inputs of `score` or `score_lists` by name.

    Args:
        rows: By column: text, numbers, lists, None where missing. Columns that the model does not read are passed over.
        signature: The signature.

    Raises:
        ConfigError: There are no rows, one lacks a column, or a value is not of the type of its input.
    """
    if not rows:
        raise ConfigError("The request has no rows.")
    named = [{input_name(column): value for column, value in row.items()} for row in rows]
    lists = _lists(signature)
    inputs: Arrays = {}
    for name, declared in signature.inputs.items():
        if name.removesuffix(LENGTH) in lists and name not in lists:
            continue
        values = [_value_of(row, name, place) for place, row in enumerate(named)]
        if name not in lists:
            inputs[name] = _array([_sent(value, declared.dtype, name) for value in values], declared.dtype)
            continue
        held = [[] if _is_missing(value) else list(value) for value in values]
        width = max(1, *map(len, held))
        padded = [[*one, *[None] * (width - len(one))] for one in held]
        flat = [_sent(value, declared.dtype, name) for one in padded for value in one]
        inputs[name] = _array(flat, declared.dtype).reshape(len(rows), width)
        inputs[name + LENGTH] = np.array([len(one) for one in held], np.int32)
    return inputs


def has_lists(rows: Sequence[Mapping[str, Any]], signature: Signature | None) -> bool:
    """Whether rows hold lists of values instead of text, where a model reads lists.

    Args:
        rows: The rows.
        signature: `score_lists`, which knows what lists are; None where the model has none.
    """
    if signature is None:
        return False
    lists = _lists(signature)
    return any(
        input_name(column) in lists and not isinstance(value, str) and not _is_missing(value)
        for row in rows
        for column, value in row.items()
    )


def _lists(signature: Signature) -> set[str]:
    """The inputs that are lists of values."""
    return {name for name in signature.inputs if name + LENGTH in signature.inputs}


def _value_of(row: Mapping[str, Any], name: str, place: int) -> Any:
    if name not in row:
        raise ConfigError(
            f"Row {place} has no `{name}`.", remedy=f"Give None where it is missing. {did_you_mean(name, row)}"
        )
    return row[name]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _sent(value: Any, dtype: str, name: str) -> Any:
    """A value as its input takes it."""
    if isinstance(value, np.generic):
        value = value.item()
    missing = _is_missing(value)
    if dtype == "string":
        if missing:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str | int | float):
            return str(value)
    elif not isinstance(value, str):
        if missing:
            return MISSING_NUMBER if dtype == "int64" else math.nan
        if isinstance(value, int | float) and (dtype != "int64" or float(value).is_integer()):
            return int(value) if dtype == "int64" else float(value)
    raise ConfigError(f"`{name}` is sent as {'text' if dtype == 'string' else dtype}, received `{value!r}`.")


def _array(values: Sequence[Any], dtype: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.empty(len(values), _TYPES[dtype])
    array[:] = values
    return array
