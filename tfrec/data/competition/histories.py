"""Histories of the test users, from the Parquet file that preparation leaves."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from tfrec.data.vocabulary import PADDING_INDEX, Vocabulary

_NO_ITEM = -1  # no creative has a negative id


class Histories(NamedTuple):
    """Item indices and times of users in one row after another.

    Attributes:
        users: Raw ids, in the order of the file.
        items: int32 `[events]`; 1 where an item is unknown.
        times: Milliseconds, int64 `[events]`.
        offsets: int64 `[users + 1]`; a user of whom only the profile is known has no events.
    """

    users: list[str]
    items: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]

    def padded(
        self, first: int, last: int, window: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Returns the latest events of some users: items and times `[users, n]` and lengths `[users]`."""
        ends = self.offsets[first + 1 : last + 1]
        lengths = np.minimum(ends - self.offsets[first:last], window)
        width = max(int(lengths.max(initial=1)), 1)
        place = (ends - lengths)[:, np.newaxis] + np.arange(width)
        inside = np.arange(width) < lengths[:, np.newaxis]
        items = np.full(inside.shape, PADDING_INDEX, np.int32)
        times = np.zeros(inside.shape, np.int64)
        items[inside], times[inside] = self.items[place[inside]], self.times[place[inside]]
        return items, times, lengths


def read_histories(path: Path, vocabulary: Vocabulary) -> Histories:
    """Reads `predict.parquet` of `prepare_competition`, in which the rows of a user stand together.

    Args:
        path: The file.
        vocabulary: Of the items.
    """
    table = pq.read_table(path)
    codes = table["user_id"].combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if hasattr(codes, "combine_chunks") else codes
    users = [str(user) for user in codes.dictionary.to_pylist()]
    event = table["timestamp"].is_valid().to_numpy()  # a user without events has a row without a time
    lengths = np.bincount(codes.indices.to_numpy()[event], minlength=len(users))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]).astype(np.int64)
    ids = table["item_id"].fill_null(_NO_ITEM).to_numpy()[event]
    times = table["timestamp"].fill_null(0).to_numpy()[event] * 1000
    return Histories(users, vocabulary.lookup(ids), times, offsets)
