"""Files of vectors by raw id: numpy archives and Parquet."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from tfrec.errors import DataError
from tfrec.text.parquet_file import is_parquet, read_parquet

_REMEDY = "Write arrays `ids` [n] and `vectors` [n, dim] (.npz), or columns `id` and `vector` (Parquet)."


def read_vector_file(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """Reads raw ids and their vectors.

    Args:
        path: `.npz` with the arrays `ids` and `vectors`, or Parquet with the columns `id` and `vector` (lists of one
            length).

    Returns:
        Ids, int64 or object (str) `[n]`, and vectors, float32 `[n, dim]`.

    Raises:
        DataError: The file is missing or damaged, or its arrays are of other shapes or types.
    """
    if not path.is_file():
        raise DataError("No such file of vectors.", file=path, remedy=_REMEDY)
    ids, vectors = _read_parquet(path) if is_parquet(path) else _read_archive(path)
    if vectors.ndim != 2 or ids.ndim != 1 or len(ids) != len(vectors) or not vectors.size:
        raise DataError(f"Ids have shape {ids.shape}, vectors {vectors.shape}.", file=path, remedy=_REMEDY)
    if not np.issubdtype(vectors.dtype, np.floating):
        raise DataError(f"The vectors are {vectors.dtype}, not floats.", file=path, remedy=_REMEDY)
    if ids.dtype.kind in "US":
        ids = np.array([text.decode() if isinstance(text, bytes) else str(text) for text in ids.tolist()], object)
    elif ids.dtype.kind not in "iuO":
        raise DataError(f"The ids are {ids.dtype}, neither integers nor text.", file=path, remedy=_REMEDY)
    return ids, vectors.astype(np.float32, copy=False)


def _read_archive(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in ("ids", "vectors") if name not in archive]
            if missing:
                raise DataError(f"There is no array `{missing[0]}`.", file=path, remedy=_REMEDY)
            return archive["ids"], archive["vectors"]
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"Not a numpy archive ({error}).", file=path, remedy=_REMEDY) from error


def _read_parquet(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    table = read_parquet(path, ("id", "vector"), remedy=_REMEDY).combine_chunks()
    lengths = pc.unique(pc.list_value_length(table["vector"])).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        raise DataError(f"The vectors have the lengths {sorted(map(str, lengths))}.", file=path, column="vector")
    flat = pc.list_flatten(table["vector"]).to_numpy()  # [n * dim]
    return table["id"].to_numpy(), flat.reshape(-1, lengths[0])
