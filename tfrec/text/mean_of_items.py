"""Vectors of users without any text encoder: the mean of the item vectors of their training events."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_text
from tfrec.data.user_vectors import user_vocabulary
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.text.training_events import recent_items, training_events


def mean_of_items(
    dataset: InteractionDataset, item_vectors: str, *, last: int | None = None, skip_last: int = 0
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """Returns one vector per user, in the space of the item vectors, from training events alone.

    Every event counts once; item vectors are taken at length 1, events of items without one are passed over, and the
    mean is scaled to length 1.

    Args:
        dataset: A local dataset with a user column.
        item_vectors: Name of the vectors of items.
        last: Only the latest training events of each user. Default: all.
        skip_last: Leave out so many of the latest training events: vectors with which a model learns to predict the
            last training event must not have seen it. Default: none.

    Returns:
        Raw ids of the users that have a vector, `[n]`, and float32 `[n, dim]`.

    Raises:
        ConfigError: The dataset has no users, or a number is out of range.
        DataError: There are no such item vectors.
    """
    text = read_item_text(dataset, item_vectors)
    users = user_vocabulary(dataset)
    total = np.zeros((users.size, text.vectors.shape[1]), np.float64)

    def add(user: npt.NDArray[np.int32], item: npt.NDArray[np.int32], sign: float) -> None:
        known = text.known[item]
        rows, row = np.unique(user[known], return_inverse=True)  # [some], [events]
        columns, column = np.unique(item[known], return_inverse=True)
        if not rows.size:
            return
        counts = csr_matrix((np.full(row.size, sign), (row, column)), (rows.size, columns.size))
        total[rows] += counts @ _unit(text.vectors[columns].astype(np.float64))

    if last is None:
        for batch in training_events(dataset):
            add(batch.users, batch.items, 1.0)
        if skip_last:
            _add_table(add, recent_items(dataset, skip_last), -1.0)
    else:
        _add_table(add, recent_items(dataset, last, skip_last=skip_last), 1.0)
    total[np.abs(total).max(axis=1) < 1e-9] = 0.0  # what is left of sums that were taken back
    found = np.flatnonzero(total.any(axis=1))
    found = found[found >= FIRST_INDEX]
    return users.ids[found - FIRST_INDEX], _unit(total[found]).astype(np.float32)


def _add_table(add: Any, table: npt.NDArray[np.int32], sign: float) -> None:
    row, place = np.nonzero(table)
    add(row.astype(np.int32), table[row, place], sign)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    scaled: npt.NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return scaled
