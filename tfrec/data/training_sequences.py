"""tf.data pipeline of shuffled sequence batches that a resumed run finds its place in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfrec.config.augmentation_config import AugmentationConfig
from tfrec.data.augmentation import augmented_batches
from tfrec.data.dataset import InteractionDataset
from tfrec.data.epoch_start import EpochStart
from tfrec.data.epochs import resumable_epochs
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.seeds import derive_seed

_COLUMNS = ("item", "timestamp", "length", "num_targets", "user")


def training_sequences(
    dataset: InteractionDataset,
    split: str,
    batch_size: int,
    *,
    max_length: int,
    seed: int,
    bucket_by_length: bool,
    next_epoch: Callable[[], EpochStart],
    augmentation: AugmentationConfig | None = None,
    features: Sequence[str] = (),
) -> tf.data.Dataset:
    """Returns the batches of one epoch, shuffled by the seed and the number of the epoch.

    Args:
        dataset: An open dataset.
        split: Name of the split.
        batch_size: Sequences per batch.
        max_length: Keep the last `max_length` events of each sequence.
        seed: Seed of the shuffles.
        bucket_by_length: Batches of sequences of similar length.
        next_epoch: Called at the start of each iteration; says which epoch begins and how many of its leading batches
            are passed over, which is how a resumed run finds its place.
        augmentation: How sequences are varied. Default: not at all.
        features: Features of events that batches hold besides item and time. Default: none.

    Returns:
        A `tf.data.Dataset` of dicts as of `sequence_dataset`, without raw ids.
    """

    def epoch_dataset(epoch: int) -> tf.data.Dataset:
        batches = sequence_dataset(
            dataset,
            split,
            batch_size,
            shuffle=True,
            seed=derive_seed(seed, "sequences", epoch),
            max_length=max_length,
            bucket_by_length=bucket_by_length,
        )
        batches = batches.map(lambda batch: {name: batch[name] for name in (*_COLUMNS, *features) if name in batch})
        if augmentation is None:
            return batches
        return augmented_batches(batches, augmentation, split=split, seed=derive_seed(seed, "variation", epoch))

    return resumable_epochs(epoch_dataset, next_epoch, lambda: dataset.explain_data_loss(split))


def batches_per_epoch(num_sequences: int, batch_size: int) -> int:
    """Returns the number of batches of one epoch of `training_sequences`."""
    return int(np.ceil(num_sequences / batch_size))
