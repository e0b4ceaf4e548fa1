"""Two windows of every user's events: long ago and lately."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.epoch_start import EpochStart
from tfrec.data.epochs import resumable_epochs
from tfrec.data.pipeline_options import PREFETCHED_BATCHES, with_pipeline_options
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.seeds import derive_seed

Window = dict[str, tf.Tensor]
PairBatch = dict[str, Any]
"""`long` and `short`: dicts of `item` int32, `timestamp` int64 and event features int32, all `[batch, window]`, padded
on the right with 0, and `length` int32 `[batch]`; and `owner` int64 `[batch]`, equal for rows of the same user."""


@dataclass(frozen=True)
class WindowOptions:
    """How the events of a user are cut in two.

    Attributes:
        long_length: Latest events of the long window that are kept.
        short_length: Latest events of the short window that are kept.
        long_share: The long window has the first `max(1, floor(long_share * n))` of n events, the short one the rest.
        features: Event features to read, besides item and time.
    """

    long_length: int = 100
    short_length: int = 10
    long_share: float = 0.9
    features: Sequence[str] = ()


def user_pairs(
    dataset: InteractionDataset,
    split: str,
    batch_size: int,
    options: WindowOptions,
    kept: NDArray[np.bool_] | None = None,
) -> tf.data.Dataset:
    """Returns the pairs of windows of the sequences of a split, in stored order; see `PairBatch`.

    Args:
        dataset: An open data set.
        split: Name of the split.
        batch_size: Users per batch.
        options: How events are cut.
        kept: Which sequences to return, `[sequences]`. Default: all.
    """
    batches = sequence_dataset(dataset, split, batch_size, pad=False).map(lambda batch: cut_windows(batch, options))
    if kept is not None:
        masks = tf.data.Dataset.from_tensor_slices(kept).batch(batch_size)
        batches = tf.data.Dataset.zip((batches, masks)).map(keep_rows).rebatch(batch_size)
    return with_pipeline_options(batches.prefetch(PREFETCHED_BATCHES))


def training_pairs(
    dataset: InteractionDataset,
    split: str,
    batch_size: int,
    options: WindowOptions,
    *,
    seed: int,
    next_epoch: Callable[[], EpochStart],
) -> tf.data.Dataset:
    """Returns the pairs of one epoch, shuffled by the seed and the number of the epoch.

    Args:
        dataset: An open data set.
        split: Name of the split.
        batch_size: Users per batch.
        options: How events are cut.
        seed: Seed of the shuffles.
        next_epoch: See `tfrec.data.training_sequences.training_sequences`.

    Returns:
        A `tf.data.Dataset` of `PairBatch`.
    """

    def epoch_dataset(epoch: int) -> tf.data.Dataset:
        shuffled = derive_seed(seed, "user pairs", epoch)
        batches = sequence_dataset(dataset, split, batch_size, shuffle=True, seed=shuffled, pad=False)
        return batches.map(lambda batch: cut_windows(batch, options))

    return resumable_epochs(epoch_dataset, next_epoch, lambda: dataset.explain_data_loss(split))


def cut_windows(batch: Mapping[str, tf.Tensor | tf.RaggedTensor], options: WindowOptions) -> PairBatch:
    """Cuts the sequences of a batch of `sequence_dataset` in two.

    A sequence of one event has an empty short window. Ragged events are never padded to the longest sequence.

    Example:
        >>> batch = {"item": tf.constant([[5, 6, 7]]), "timestamp": tf.zeros([1, 3], tf.int64),
        ...          "length": tf.constant([3]), "user_id": tf.constant([9], tf.int64)}
        >>> pair = cut_windows(batch, WindowOptions(long_length=1))
        >>> pair["long"]["item"].numpy().tolist(), pair["short"]["item"].numpy().tolist()[0][:2]
        ([[6]], [7, 0])
    """
    length = tf.cast(batch["length"], tf.int32)  # [batch]
    # In float64, as the product is in Python: 0.9 * 10 must not fall below 9.
    cut = tf.cast(tf.floor(options.long_share * tf.cast(length, tf.float64)), tf.int32)
    cut = tf.minimum(tf.maximum(cut, 1), length)  # [batch]
    names = ("item", "timestamp", *options.features)
    columns = {name: batch[name] for name in names}
    owner = batch["user_id"]
    if owner.dtype == tf.string:
        owner = tf.strings.to_hash_bucket_fast(owner, 2**62)
    return {
        "long": window(columns, tf.maximum(cut - options.long_length, 0), cut, options.long_length),
        "short": window(columns, tf.maximum(length - options.short_length, cut), length, options.short_length),
        "owner": tf.cast(owner, tf.int64),
    }


def keep_rows(pair: PairBatch, kept: tf.Tensor) -> PairBatch:
    """Returns the rows of a `PairBatch` where bool `kept` is true, `[batch]`."""
    found: PairBatch = tf.nest.map_structure(lambda values: tf.boolean_mask(values, kept), dict(pair))
    return found


def window(
    columns: Mapping[str, tf.Tensor | tf.RaggedTensor], first: tf.Tensor, end: tf.Tensor, width: int | tf.Tensor
) -> Window:
    """Cuts the events `first` to `end` (exclusive) out of every row.

    Args:
        columns: Features of events, `[batch, n]`, padded or ragged.
        first: int32 `[batch]`.
        end: int32 `[batch]`; at most `first + width`.
        width: Width of the result.

    Returns:
        The features `[batch, width]`, 0 beyond the end, indices as int32; and `length` int32 `[batch]`.
    """
    place = first[:, tf.newaxis] + tf.range(width)  # [batch, width]
    inside = place < end[:, tf.newaxis]
    found: Window = {"length": end - first}
    for name, values in columns.items():
        if isinstance(values, tf.RaggedTensor):
            start = tf.cast(values.row_starts(), tf.int32)[:, tf.newaxis]
            kept = tf.gather(values.flat_values, tf.where(inside, start + place, 0))
        else:
            source = tf.minimum(place, tf.maximum(tf.shape(values)[1] - 1, 0))
            kept = tf.gather(values, source, batch_dims=1)
        kept = tf.where(inside, kept, tf.zeros_like(kept))
        found[name] = kept if name == "timestamp" else tf.cast(kept, tf.int32)
    return found
