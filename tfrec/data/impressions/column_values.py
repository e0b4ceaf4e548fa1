"""Columns of a log as ids, numbers, labels and lists, with errors that name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.example_encoder import FeatureColumn
from tfrec.data.impressions.token_lists import TokenLists, text_lists
from tfrec.errors import DataError

_WHOLE = r"^([+-]?[0-9]+)\.0+$"
_ARROW_ERRORS = (pa.ArrowInvalid, pa.ArrowNotImplementedError)

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
"""Numbers of the rows of a batch in their file, from 0, for messages."""


def id_texts(values: pa.Array) -> pa.Array:
    """Returns ids as text; whole numbers are written without a point, however they are stored: 1, 1.0 and "1.0"."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind: Any = values.type
    if pa.types.is_decimal(kind):
        values = pc.cast(values, pa.int64() if kind.scale == 0 else pa.float64())
        kind = values.type
    if pa.types.is_floating(kind):
        values = pc.cast(pc.if_else(pc.is_nan(values), None, values), pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return pc.cast(values, pa.string())
    return pc.replace_substring_regex(values.cast(pa.string()), pattern=_WHOLE, replacement=r"\1")


@contextmanager
def read_as(what: str, column: pa.Array, name: str, file: str) -> Iterator[None]:
    """Context in which a column that arrow cannot take for what it is to be becomes a DataError that names it."""
    try:
        yield
    except _ARROW_ERRORS as error:
        raise DataError(
            f"Not {what}, but {column.type}: {str(error).splitlines()[0]}.",
            file=file,
            column=name,
            remedy="Correct the schema or the data.",
        ) from error


def as_numbers(column: pa.Array, name: str, file: str, rows: Rows | None = None) -> Floats:
    """Returns a column as float64, NaN where it is missing; in text that is empty, white space around numbers is none.

    Raises:
        DataError: Something is not a number, or infinite.
    """
    try:
        numbers: Floats = _floats(column)
    except _ARROW_ERRORS as error:
        place = next((place for place in range(len(column)) if not _is_number(column.slice(place, 1))), None)
        value = "" if place is None else f"`{column[place].as_py()}`: "
        raise DataError(
            f"Not a number: {value}{str(error).splitlines()[0]}.",
            file=file,
            column=name,
            row=_row(rows, place),
            remedy="Correct the data or schema.",
        ) from error
    if np.isinf(numbers).any():
        row = _row(rows, int(np.flatnonzero(np.isinf(numbers))[0]))
        raise DataError("A number is infinite.", file=file, column=name, row=row, remedy="Correct the data.")
    return numbers


def as_times(column: pa.Array, name: str, file: str, rows: Rows | None = None) -> npt.NDArray[Any]:
    """Returns moments as numbers to compare: int64 of times (in nanoseconds) and whole numbers, else float64.

    Raises:
        DataError: Something is missing, or neither a time nor a number.
    """
    kind: Any = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            column = pc.cast(column, pa.timestamp("ns"))
        except _ARROW_ERRORS:
            column = pa.array(as_numbers(column, name, file, rows), from_pandas=True)
    if column.null_count:
        row = _row(rows, pc.index(pc.is_null(column), True).as_py())
        raise DataError("A time is missing.", file=file, column=name, row=row, remedy="Drop rows without a time.")
    if pa.types.is_temporal(column.type):
        with read_as("a time", column, name, file):
            column = pc.cast(pc.cast(column, pa.timestamp("ns")), pa.int64())
    times: npt.NDArray[Any] = column.to_numpy() if pa.types.is_int64(column.type) else as_numbers(column, name, file)
    if np.isnan(times).any():
        row = _row(rows, int(np.flatnonzero(np.isnan(times))[0]))
        raise DataError("A time is missing.", file=file, column=name, row=row, remedy="Drop rows without a time.")
    return times


def label_column(column: pa.Array, name: str, file: str, rows: Rows | None = None) -> FeatureColumn:
    """Returns labels as a feature.

    Raises:
        DataError: A label is missing or neither 0 nor 1.
    """
    values = as_numbers(column, name, file, rows)
    wrong = np.flatnonzero((values != 0.0) & (values != 1.0))  # NaN too
    if len(wrong):
        found = "missing" if np.isnan(values[wrong[0]]) else f"`{values[wrong[0]]:g}`"
        row = _row(rows, int(wrong[0]))
        raise DataError(f"A label is {found}.", file=file, column=name, row=row, remedy="Labels are 0 or 1.")
    return FeatureColumn(name, values.astype(np.float32), np.arange(len(values) + 1, dtype=np.int64))


def read_lists(column: pa.Array, separator: str, max_length: int, keep: str, name: str, file: str) -> TokenLists:
    """Takes a column of lists apart.

    Raises:
        DataError: It holds neither lists nor text.
    """
    kind: Any = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_fixed_size_list(kind):
        lengths = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, kind.list_size)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        column = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), column.flatten())
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
    with read_as("lists of ids or numbers", column, name, file):
        if pa.types.is_null(kind):
            column = column.cast(pa.string())
        return text_lists(column, separator, max_length, keep)


def _floats(column: pa.Array) -> Floats:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(column, ""), None, column)
    numbers: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _is_number(column: pa.Array) -> bool:
    try:
        _floats(column)
    except _ARROW_ERRORS:
        return False
    return True


def _row(rows: Rows | None, place: int | None) -> int | None:
    return None if rows is None or place is None else int(rows[place]) + 1
