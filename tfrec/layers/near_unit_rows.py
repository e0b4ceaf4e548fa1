"""Ready-made vectors in 16 bits, whatever their length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 1 << 14


def near_unit_rows(vectors: NDArray[Any]) -> NDArray[np.float16]:
    """Scales rows by powers of two to lengths of 1/2 to 1, some at a time.

    So float16, which ends at 65,504 and at 6e-8, holds directions of vectors of any length, with the digits that it
    has; zeros stay zero.

    Args:
        vectors: float `[rows, width]`; may be memory-mapped.
    """
    scaled = np.zeros(vectors.shape, np.float16)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        part = np.asarray(vectors[start : start + _ROWS_AT_ONCE], np.float64)  # [part, width]
        exponent = np.frexp(np.linalg.norm(part, axis=1, keepdims=True))[1]
        scaled[start : start + len(part)] = np.ldexp(part, -exponent)
    return scaled
