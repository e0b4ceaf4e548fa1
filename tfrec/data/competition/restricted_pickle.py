"""Pickles of plain containers, numbers, text and arrays; anything else is refused, as it could run code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from tfrec.errors import DataError

_ARRAYS = {
    (module, name)
    for package in ("numpy.core", "numpy._core")
    for module, name in ((f"{package}.multiarray", "_reconstruct"), (f"{package}.multiarray", "scalar"))
} | {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ARRAYS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"`{module}.{name}`")


def load_pickle(path: str | Path) -> Any:
    """Reads a pickle of dicts, lists, tuples, sets, numbers, text, bytes and numpy arrays.

    Args:
        path: The file.

    Raises:
        DataError: The file is missing or damaged, or holds something else.
    """
    try:
        with Path(path).open("rb") as file:
            return _RestrictedUnpickler(file).load()
    except FileNotFoundError as error:
        raise DataError("The file does not exist.", file=str(path)) from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f"The pickle is damaged, or holds more than plain containers and arrays: {error}.",
            file=str(path),
            remedy="Only plain data are read, because loading anything else could run code of whoever made the file.",
        ) from error
    except (EOFError, ValueError, IndexError, KeyError, AttributeError, ImportError, TypeError) as error:
        raise DataError(f"The pickle is damaged: {error}.", file=str(path)) from error
