"""Shuffled batches of impressions that a resumed run finds its place in."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.data.epoch_start import EpochStart
from tfrec.data.epochs import resumable_epochs
from tfrec.data.impressions.impression_batches import impression_batches
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.seeds import derive_seed


def training_impressions(
    dataset: ImpressionDataset,
    split: str,
    batch_size: int,
    *,
    max_length: int | None,
    seed: int,
    next_epoch: Callable[[], EpochStart],
) -> tf.data.Dataset:
    """Returns the batches of one epoch, shuffled by the seed and the number of the epoch.

    Args:
        dataset: An open dataset.
        split: Name of the split.
        batch_size: Rows per batch.
        max_length: Values of lists that are kept.
        seed: Seed of the shuffles.
        next_epoch: Called at the start of each iteration; says which epoch begins and how many of its leading batches
            are passed over.

    Returns:
        A `tf.data.Dataset` of dicts as of `impression_batches`.
    """

    def epoch_batches(epoch: int) -> tf.data.Dataset:
        return impression_batches(
            dataset,
            split,
            batch_size,
            max_length=max_length,
            shuffle=True,
            seed=derive_seed(seed, "impressions", epoch),
        )

    return resumable_epochs(epoch_batches, next_epoch, lambda: dataset.explain_data_loss(split))
