"""Raw examples of impressions: columns by their roles as lists of values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.config.impression_schema import ImpressionSchema, SequenceColumn
from tfrec.data.impressions.column_values import as_numbers, id_texts, label_column, read_lists

_WHOLE = 2**31 - 1  # lists are not cut before Transform


def raw_impressions(table: pa.Table, roles: ImpressionSchema, path: str) -> pa.RecordBatch:
    """Returns the features of rows as lists of values, which the encoder of examples takes; nulls become missing.

    Args:
        table: Rows with all columns that have a role.
        roles: Roles without patterns.
        path: File, for messages.

    Raises:
        DataError: A value does not suit the role of its column.
    """
    lists = _features({name: _array(table[name]) for name in table.column_names}, roles, path)
    return pa.RecordBatch.from_arrays(list(lists.values()), list(lists))


def _features(columns: Mapping[str, pa.Array], roles: ImpressionSchema, path: str) -> dict[str, pa.Array]:
    label = label_column(columns[roles.label], roles.label, path).values.astype(np.int64)
    found = {roles.label: _singles(pa.array(label))}
    for category in roles.categorical:
        texts = id_texts(columns[category.name])
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
        found[category.name] = _singles(texts.cast(pa.large_string()).cast(pa.large_binary()))
    for number in roles.numeric:
        values = as_numbers(columns[number.name], number.name, path)
        found[number.name] = _singles(pa.array(values.astype(np.float32), mask=np.isnan(values)))
    for sequence in roles.sequence:
        found[sequence.name] = _sequence(columns[sequence.name], sequence, path)
    return found


def _singles(values: pa.Array) -> pa.Array:
    """One value per row, none where it is null."""
    missing = values.is_null().to_numpy(zero_copy_only=False)  # [rows]
    return _lists(np.where(missing, 0, 1), values.drop_null(), missing)


def _sequence(column: pa.Array, role: SequenceColumn, path: str) -> pa.Array:
    lists = read_lists(column, role.separator, _WHOLE, role.keep, role.name, path)
    if role.kind == "ids":
        values = lists.as_texts().cast(pa.large_string()).cast(pa.large_binary())
    else:
        numbers = lists.numbers if lists.numbers is not None else as_numbers(lists.as_texts(), role.name, path)
        values = pa.array(np.asarray(numbers, np.float32))
    return _lists(np.diff(lists.offsets), values, column.is_null().to_numpy(zero_copy_only=False))


def _lists(lengths: npt.NDArray[np.int64], values: pa.Array, missing: npt.NDArray[np.bool_]) -> pa.Array:
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    marked = pa.array(offsets, mask=np.append(missing, False)) if missing.any() else pa.array(offsets)
    return pa.LargeListArray.from_arrays(marked, values)


def _array(column: pa.ChunkedArray) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    return pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
