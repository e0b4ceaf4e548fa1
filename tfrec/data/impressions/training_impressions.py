"""Shuffled batches of impressions that a resumed run finds its place in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.epoch_start import EpochStart
from tfrec.data.impressions.impression_batches import impression_batches
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.pipeline_options import PREFETCHED_BATCHES, with_pipeline_options
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

    def generate() -> Iterator[dict[str, NDArray[Any]]]:
        epoch, skip = next_epoch()
        with dataset.explain_data_loss(split):
            yield from epoch_batches(epoch).skip(skip).as_numpy_iterator()

    generated = tf.data.Dataset.from_generator(generate, output_signature=epoch_batches(0).element_spec)
    return with_pipeline_options(generated.prefetch(PREFETCHED_BATCHES))
