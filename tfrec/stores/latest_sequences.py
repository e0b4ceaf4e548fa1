"""Which sequence of each user holds the latest events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.pipeline_options import parallel_calls, with_pipeline_options

_SCAN_BATCH = 4096


@dataclass(frozen=True)
class LatestSequences:
    """The sequence that stands for each user.

    Attributes:
        chosen: Per split, in reading order of `splits`: whether a sequence is the latest of its user, bool
            `[sequences]`.
        count: Number of users.
    """

    chosen: dict[str, NDArray[np.bool_]]
    count: int


def latest_sequences(dataset: InteractionDataset, splits: Sequence[str]) -> LatestSequences:
    """Finds the latest sequence of every user by one pass over ids and times.

    As in `tfrec.data.event_history`: of several splits the first of `splits` that has the user counts, and in a split
    the sequence whose last event is the latest; of equal ones the last in the file. Memory: the ids of all sequences.

    Args:
        dataset: An open data set.
        splits: Names of splits, the most important first.

    Returns:
        The choice.
    """
    ids: list[pa.Array] = []
    last: list[NDArray[np.int64]] = []
    sizes = []
    for split in splits:
        split_ids, split_last = _ids_and_times(dataset, split)
        ids += split_ids
        last.append(split_last)
        sizes.append(len(split_last))
    users = pc.dictionary_encode(pa.chunked_array(ids)).combine_chunks()
    users = users.indices.to_numpy() if isinstance(users, pa.DictionaryArray) else users.chunk(0).indices.to_numpy()
    times = np.concatenate(last)  # [sequences]
    rank = np.repeat(np.arange(len(sizes)), sizes)  # [sequences]; 0 is the most important split
    order = np.lexsort((np.arange(len(users)), times, -rank, users))
    best = order[np.append(users[order][1:] != users[order][:-1], True)] if len(order) else order
    chosen = np.zeros(len(users), np.bool_)
    chosen[best] = True
    bounds = np.cumsum([0, *sizes])
    parts = {split: chosen[bounds[n] : bounds[n + 1]] for n, split in enumerate(splits)}
    return LatestSequences(parts, len(best))


def _ids_and_times(dataset: InteractionDataset, split: str) -> tuple[list[pa.Array], NDArray[np.int64]]:
    spec = {name: dataset.feature_spec[name] for name in ("user_id", "timestamp")}

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec)
        return parsed["user_id"], tf.reduce_max(parsed["timestamp"], axis=1)

    records = dataset.records(dataset.shard_paths(split)).batch(_SCAN_BATCH)
    ids, times = [], [np.zeros(0, np.int64)]
    with dataset.explain_data_loss(split):
        for user_id, last in with_pipeline_options(records.map(parse, num_parallel_calls=parallel_calls())):
            ids.append(raw_ids(user_id.numpy()))
            times.append(last.numpy())
    return ids, np.concatenate(times)


def raw_ids(values: NDArray[Any]) -> pa.Array:
    """Returns ids of a batch, int64 or bytes, as an arrow array of int64 or string."""
    return pa.array(values) if values.dtype != object else pa.array(values, pa.binary()).cast(pa.string())
