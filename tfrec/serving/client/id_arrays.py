"""Lists of raw ids as the rectangular arrays that signatures take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError
from tfrec.raw_ids import IdType, is_raw_id
from tfrec.serving.client.results import Id

UNKNOWN_ID: dict[str, Id] = {"int64": -(2**63), "string": "\0"}
"""Ids that no vocabulary has: they stand where an id is required and none is meant."""


def id_vector(ids: Sequence[Id], id_type: IdType, *, what: str = "item") -> npt.NDArray[Any]:
    """Returns ids as an array.

    Args:
        ids: Raw ids `[n]`, at least one.
        id_type: Type of the model's ids.
        what: What they are ids of, for messages. Default: item.

    Returns:
        int64 `[n]`, or object (`str`) `[n]`.

    Raises:
        ConfigError: An id is not of the model's type, or there are none.
    """
    if not len(ids):
        raise ConfigError(f"The request has no {what} ids.")
    for value in ids:
        _check(value, id_type, what)
    array = np.empty(len(ids), object if id_type == "string" else np.int64)
    array[:] = ids
    return array  # [n]


def padded_ids(rows: Sequence[Sequence[Id]], id_type: IdType) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Returns histories padded on the right, at least one column wide, and their true lengths.

    Args:
        rows: Raw ids of each row, oldest first.
        id_type: Type of the model's ids.

    Returns:
        Ids `[rows, n]` and lengths, int32 `[rows]`.

    Raises:
        ConfigError: An id is not of the model's type.
    """
    lengths = np.array([len(row) for row in rows], np.int32)
    width = max(1, int(lengths.max(initial=0)))
    padded = [[*row, *[UNKNOWN_ID[id_type]] * (width - len(row))] for row in rows]
    return _matrix(padded, width, id_type), lengths


def id_lists(rows: Sequence[Sequence[Id]], id_type: IdType) -> npt.NDArray[Any]:
    """Returns lists without a length of their own: short ones repeat their last id, empty ones hold an unknown id.

    Args:
        rows: Raw ids of each row; the order does not matter.
        id_type: Type of the model's ids.

    Returns:
        Ids `[rows, longest]`; `[rows, 0]` when all are empty.

    Raises:
        ConfigError: An id is not of the model's type.
    """
    width = max((len(row) for row in rows), default=0)
    filled = [[*row, *[row[-1] if len(row) else UNKNOWN_ID[id_type]] * (width - len(row))] for row in rows]
    return _matrix(filled, width, id_type)


def _matrix(rows: Sequence[Sequence[Id]], width: int, id_type: IdType) -> npt.NDArray[Any]:
    if not rows:
        raise ConfigError("The request has no rows.")
    if not width:
        return np.empty((len(rows), 0), object if id_type == "string" else np.int64)
    return id_vector([value for row in rows for value in row], id_type).reshape(len(rows), width)  # [rows, width]


def _check(value: Any, id_type: IdType, what: str) -> None:
    if not is_raw_id(value, id_type):
        name = "strings" if id_type == "string" else "int64"
        raise ConfigError(f"The {what} ids of this model are {name}, received `{value!r}`.")
