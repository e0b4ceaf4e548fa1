"""Files of vectors and ids in the format of the challenge's search program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import DataError
from tfrec.files import atomic_write

_HEADER = np.dtype("<u4")


def write_fbin(path: str | Path, vectors: npt.NDArray[Any]) -> None:
    """Writes vectors `[n, dim]`: n and dim as little-endian uint32, then float32 row by row."""
    _write(Path(path), np.asarray(vectors, "<f4"))


def read_fbin(path: str | Path) -> npt.NDArray[np.float32]:
    """Returns vectors float32 `[n, dim]`, memory-mapped.

    Raises:
        DataError: The file is missing, or its length is not what its header says.
    """
    return _read(Path(path), np.dtype("<f4"))


def write_u64bin(path: str | Path, ids: npt.NDArray[Any]) -> None:
    """Writes ids `[n]`: n and 1 as little-endian uint32, then uint64.

    Raises:
        DataError: An id is negative.
    """
    if np.asarray(ids).size and int(np.min(ids)) < 0:
        raise DataError(f"The id {int(np.min(ids))} is negative.", file=str(path))
    _write(Path(path), np.asarray(ids, "<u8").reshape(-1, 1))


def read_u64bin(path: str | Path) -> npt.NDArray[np.uint64]:
    """Returns ids uint64 `[n]`, memory-mapped; otherwise as `read_fbin`."""
    return _read(Path(path), np.dtype("<u8"))[:, 0]


def _write(path: Path, rows: npt.NDArray[Any]) -> None:
    with atomic_write(path, "wb") as file:
        np.array(rows.shape, _HEADER).tofile(file)
        np.ascontiguousarray(rows).tofile(file)


def _read(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if not path.is_file():
        raise DataError("The file does not exist.", file=str(path))
    size = path.stat().st_size
    header = np.fromfile(path, _HEADER, 2)
    rows, width = (int(number) for number in header) if len(header) == 2 else (-1, 0)
    if size != 8 + rows * width * dtype.itemsize:
        raise DataError(f"The file has {size:,} bytes, its header says {rows:,} rows of {width}.", file=str(path))
    if not rows * width:
        return np.zeros((rows, width), dtype)
    return np.memmap(path, dtype, "r", offset=8, shape=(rows, width))
