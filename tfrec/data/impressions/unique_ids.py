"""Refuses files in which an id names two rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfrec.data.impressions.impression_sources import ImpressionSource
from tfrec.errors import DataError

_Hashes = npt.NDArray[np.uint64]


def check_unique_ids(sources: Sequence[ImpressionSource], column: str) -> None:
    """Reads the column of ids of all files and refuses one that occurs twice; missing ids are not looked at.

    Memory holds 8 bytes per row: hashes are compared, and the ids themselves only where hashes are equal.

    Raises:
        DataError: An id names two rows; the second one is told.
    """
    grown = array("Q")
    for *_, hashes in _hashed(sources, column):
        grown.frombytes(hashes.tobytes())
    everything = np.frombuffer(grown, np.uint64)
    everything.sort()  # where it is: a copy would be as much again
    repeated = np.unique(everything[1:][everything[1:] == everything[:-1]])
    if not len(repeated):
        return
    seen: set[str] = set()
    for source, rows, ids, hashes in _hashed(sources, column):
        for place in np.flatnonzero(np.isin(hashes, repeated)).tolist():
            if ids[place] in seen:
                raise DataError(
                    f"The id `{ids[place]}` names a second row.",
                    file=source.path,
                    column=column,
                    row=int(rows[place]) + 1,
                    remedy="Correct the input, or pass --id-col with a column whose values differ in all rows.",
                )
            seen.add(ids[place])


def _hashed(
    sources: Sequence[ImpressionSource], column: str
) -> Iterator[tuple[ImpressionSource, npt.NDArray[np.int64], npt.NDArray[np.object_], _Hashes]]:
    """File, numbers of rows that have an id, ids as text and their hashes, a batch at a time."""
    for source in sources:
        first = 0
        for batch in source.batches([column]):
            ids = pc.cast(batch.column(0), pa.string())
            places = np.flatnonzero(pc.is_valid(ids).to_numpy(zero_copy_only=False))
            names = ids.to_numpy(zero_copy_only=False)[places]
            yield source, first + places, names, pd.util.hash_array(names, categorize=False)
            first += batch.num_rows
