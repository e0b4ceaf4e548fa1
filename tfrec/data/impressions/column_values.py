"""Columns of a log as ids, numbers, labels and lists, with errors that name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.example_encoder import FeatureColumn
from tfrec.data.impressions.token_lists import TokenLists, text_lists
from tfrec.errors import DataError

_WHOLE = r"^([+-]?[0-9]+)\.0+$"

Floats = npt.NDArray[np.float64]


def id_texts(values: pa.Array) -> pa.Array:
    """Returns ids as text; whole numbers are written without a point, however they are stored: 1, 1.0 and "1.0"."""
    kind: Any = values.type
    if pa.types.is_floating(kind):
        values = pc.cast(pc.if_else(pc.is_nan(values), None, values), pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return pc.cast(values, pa.string())
    return pc.replace_substring_regex(values.cast(pa.string()), pattern=_WHOLE, replacement=r"\1")


def as_numbers(column: pa.Array, name: str, file: str) -> Floats:
    """Returns a column as float64, NaN where it is missing.

    Raises:
        DataError: Something is not a number, or infinite.
    """
    try:
        numbers: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"Not a number: {str(error).splitlines()[0]}.", file=file, column=name, remedy="Correct the data or schema."
        ) from error
    if np.isinf(numbers).any():
        raise DataError("A number is infinite.", file=file, column=name, remedy="Correct the data.")
    return numbers


def label_column(column: pa.Array, name: str, file: str) -> FeatureColumn:
    """Returns labels as a feature.

    Raises:
        DataError: A label is missing or neither 0 nor 1.
    """
    values = as_numbers(column, name, file)
    wrong = np.flatnonzero((values != 0.0) & (values != 1.0))  # NaN too
    if len(wrong):
        found = "missing" if np.isnan(values[wrong[0]]) else f"`{values[wrong[0]]:g}`"
        raise DataError(f"A label is {found}.", file=file, column=name, remedy="Labels are 0 or 1.")
    return FeatureColumn(name, values.astype(np.float32), np.arange(len(values) + 1, dtype=np.int64))


def read_lists(column: pa.Array, separator: str, max_length: int, keep: str, name: str, file: str) -> TokenLists:
    """Takes a column of lists apart.

    Raises:
        DataError: It holds neither lists nor text.
    """
    kind: Any = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):  # lists of one value each, taken for numbers
        column = id_texts(column)
    readable = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_null,
        pa.types.is_list,
        pa.types.is_large_list,
    )
    if not any(is_kind(column.type) for is_kind in readable):
        raise DataError(f"Neither lists nor text, but {kind}.", file=file, column=name, remedy="Correct the schema.")
    return text_lists(column if not pa.types.is_null(kind) else column.cast(pa.string()), separator, max_length, keep)
