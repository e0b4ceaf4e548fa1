"""Checks of the vectors and biases that an index is made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.errors import ConfigError


def checked_vectors(vectors: npt.ArrayLike, first_index: int) -> npt.NDArray[np.float32]:
    """Returns item vectors as float32 `[n, dim]`.

    Args:
        vectors: Array or tensor `[n, dim]`.
        first_index: Item index of its first row.

    Raises:
        ConfigError: No matrix, no item, a value that is not finite, or a first index that is not 0, 1 or 2.
    """
    array = np.asarray(vectors, np.float32)
    if not 0 <= first_index <= FIRST_INDEX:
        raise ConfigError(f"`first_index` is {first_index}.", remedy=f"Expected 0 to {FIRST_INDEX}.")
    if array.ndim != 2 or array.shape[1] == 0:
        raise ConfigError(f"`vectors` has the shape {array.shape}.", remedy="Expected [items, dim].")
    if len(array) + first_index <= FIRST_INDEX:
        raise ConfigError(
            f"`vectors` has {len(array)} rows and so no item.",
            remedy="Rows of the indices 0 (padding) and 1 (out of vocabulary) are no items.",
        )
    _check_finite("vectors", array)
    return array


def checked_bias(bias: npt.ArrayLike, num_rows: int) -> npt.NDArray[np.float32]:
    """Returns biases as float32 `[num_rows]`.

    Args:
        bias: Array or tensor, one per row of the vectors.
        num_rows: Rows of the vectors.

    Raises:
        ConfigError: Another shape, or a value that is not finite.
    """
    array = np.asarray(bias, np.float32)
    if array.shape != (num_rows,):
        raise ConfigError(f"`bias` has the shape {array.shape}.", remedy=f"Expected one per vector, [{num_rows}].")
    _check_finite("bias", array)
    return array


def _check_finite(name: str, array: npt.NDArray[np.float32]) -> None:
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ConfigError(
            f"`{name}` has values that are not finite, the first in row {row}.", remedy="The model cannot be served."
        )
