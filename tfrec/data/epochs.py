"""Epochs of batches that a resumed run finds its place in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from tfrec.data.epoch_start import EpochStart
from tfrec.data.pipeline_options import PREFETCHED_BATCHES, with_pipeline_options


def resumable_epochs(
    epoch_batches: Callable[[int], tf.data.Dataset],
    next_epoch: Callable[[], EpochStart],
    explained: Callable[[], AbstractContextManager[None]],
) -> tf.data.Dataset:
    """Returns a `tf.data.Dataset` of which every iteration is one epoch, or the rest of it.

    Args:
        epoch_batches: Returns the batches of an epoch, by its number from 0.
        next_epoch: Called at the start of each iteration; says which epoch begins and how many of its leading batches
            are passed over, which is how a resumed run finds its place.
        explained: Context of the reading, see `explain_data_loss`.
    """

    def generate() -> Iterator[Any]:
        epoch, skip = next_epoch()
        with explained():
            yield from epoch_batches(epoch).skip(skip).as_numpy_iterator()

    generated = tf.data.Dataset.from_generator(generate, output_signature=epoch_batches(0).element_spec)
    return with_pipeline_options(generated.prefetch(PREFETCHED_BATCHES))
