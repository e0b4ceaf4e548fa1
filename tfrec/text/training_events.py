"""What a text or vector of a user may be made from: events of the training split, and of no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.data.user_vectors import user_vocabulary
from tfrec.errors import ConfigError

_SPLIT = "train"
_BATCH = 1024


@dataclass(frozen=True)
class EventBatch:
    """Training events of some users.

    Attributes:
        users: User index of every event, int32 `[events]`.
        items: Item index, int32 `[events]`.
        times: Milliseconds since the epoch, int64 `[events]`.
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]


def training_events(dataset: InteractionDataset) -> Iterator[EventBatch]:
    """Yields the events of the training split, batch by batch, in stored order.

    This is the only door through which events come into texts: with `leave_one_out` neither the valid nor the test
    event of a user is behind it.

    Args:
        dataset: A dataset with a user column.

    Raises:
        ConfigError: The dataset has no users.
    """
    user_vocabulary(dataset)
    with dataset.explain_data_loss(_SPLIT):
        for batch in sequence_dataset(dataset, _SPLIT, _BATCH).as_numpy_iterator():
            items = batch["item"]  # [batch, seq]
            known = np.arange(items.shape[1]) < batch["length"][:, np.newaxis]  # [batch, seq]
            users = np.repeat(batch["user"], batch["length"])  # [events]
            yield EventBatch(users, items[known], batch["timestamp"][known])


def recent_items(dataset: InteractionDataset, last: int, *, skip_last: int = 0) -> npt.NDArray[np.int32]:
    """Returns the last training events of every user, however many sequences he has.

    Args:
        dataset: A dataset with a user column.
        last: How many of them.
        skip_last: Leave out so many of the latest training events. Texts for learning to predict the last training
            event must not have seen it. Default: none.

    Returns:
        Item indices by user index, newest first, 0 where there are no more, int32 `[users, last]`.

    Raises:
        ConfigError: `last` is below 1, `skip_last` is negative, or the dataset has no users.
    """
    if last < 1 or skip_last < 0:
        raise ConfigError(f"`last` is {last} and `skip_last` {skip_last}.", remedy="Use at least 1 and 0.")
    width = last + skip_last
    items = np.zeros((user_vocabulary(dataset).size, width), np.int32)
    times = np.full(items.shape, np.iinfo(np.int64).min, np.int64)
    for batch in training_events(dataset):
        users = np.unique(batch.users)  # [some]
        old = items[users] > 0  # [some, width]
        # Kept events stand newest first: turned round, they come before the new ones of the same time.
        all_users = np.concatenate([np.repeat(users, old.sum(axis=1)), batch.users])  # [events]
        all_items = np.concatenate([items[users][:, ::-1][old[:, ::-1]], batch.items])
        all_times = np.concatenate([times[users][:, ::-1][old[:, ::-1]], batch.times])
        order = np.lexsort((all_times, all_users))[::-1]  # stable, so ties are newest last: reversed, newest first
        row = np.searchsorted(-users[::-1].astype(np.int64), -all_users[order])  # [events], users descending
        first = np.searchsorted(row, row)  # [events]
        place = np.arange(order.size) - first
        kept = place < width
        target = all_users[order][kept], place[kept]
        items[users], times[users] = 0, np.iinfo(np.int64).min
        items[target], times[target] = all_items[order][kept], all_times[order][kept]
    return items[:, skip_last:]
