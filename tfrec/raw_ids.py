"""Raw ids, as callers give them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

IdType = Literal["int64", "string"]
_INT64 = range(-(2**63), 2**63)


def is_raw_id(value: Any, id_type: IdType) -> bool:
    """Returns whether a value is a raw id of a type as it stands: 3.7, True and "3" are no int64.

    Args:
        value: What a caller gives.
        id_type: Type of the ids of a model or of published vectors.

    Example:
        >>> is_raw_id(3, "int64"), is_raw_id(3.0, "int64"), is_raw_id("3", "string")
        (True, False, True)
    """
    if id_type == "string":
        return isinstance(value, str)
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) in _INT64
