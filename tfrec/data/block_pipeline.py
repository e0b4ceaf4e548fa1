"""tf.data pipeline of session-parallel blocks from a dataset directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.epoch_start import EpochStart
from tfrec.data.pipeline_options import PREFETCHED_BATCHES, with_pipeline_options
from tfrec.data.sequence_pipeline import record_dataset
from tfrec.data.session_blocks import session_blocks
from tfrec.seeds import derive_seed

_READ_BATCH = 2048


def session_block_dataset(
    dataset: InteractionDataset,
    split: str,
    lanes: int,
    block_steps: int,
    *,
    min_active_lanes: int = 1,
    shuffle_seed: int | None = None,
    next_epoch: Callable[[], EpochStart] = lambda: EpochStart(0, 0),
) -> tf.data.Dataset:
    """Returns the blocks of one epoch; sessions in the order of their first event, as they are stored.

    Args:
        dataset: An open dataset.
        split: Name of the split.
        lanes: Parallel sessions (mini-batch size).
        block_steps: Mini-batches per block.
        min_active_lanes: Stop the epoch when fewer lanes are active, see `session_blocks`.
        shuffle_seed: Shuffle the sessions, by this seed and the number of the epoch. Default: stored order.
        next_epoch: Called at the start of each iteration; says which epoch begins and how many of its leading blocks
            are built but not returned, which is how a resumed run finds its place.

    Returns:
        A `tf.data.Dataset` of dicts: `inputs`, `targets` int32 and `starts`, `active` bool, all `[block_steps, lanes]`,
        and `num_steps` int32 `[]`.
    """

    in_stored_order = session_chunks(dataset, split)  # made once: building a pipeline takes a while

    def chunks(epoch: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        sessions = in_stored_order
        if shuffle_seed is not None:
            sessions = session_chunks(dataset, split, shuffle_seed=derive_seed(shuffle_seed, "sessions", epoch))
        with dataset.explain_data_loss(split):
            yield from sessions.as_numpy_iterator()

    def blocks() -> Iterator[dict[str, NDArray[Any]]]:
        epoch, skip = next_epoch()
        packed = session_blocks(chunks(epoch), lanes, block_steps, min_active_lanes=min_active_lanes)
        for number, block in enumerate(packed):
            if number >= skip:
                yield {
                    "inputs": block.inputs,
                    "targets": block.targets,
                    "starts": block.starts,
                    "active": block.active,
                    "num_steps": np.array(block.num_steps, np.int32),
                }

    shape = (block_steps, lanes)
    signature = {
        "inputs": tf.TensorSpec(shape, tf.int32),
        "targets": tf.TensorSpec(shape, tf.int32),
        "starts": tf.TensorSpec(shape, tf.bool),
        "active": tf.TensorSpec(shape, tf.bool),
        "num_steps": tf.TensorSpec((), tf.int32),
    }
    generated = tf.data.Dataset.from_generator(blocks, output_signature=signature)
    return with_pipeline_options(generated.prefetch(PREFETCHED_BATCHES))


def session_chunks(dataset: InteractionDataset, split: str, *, shuffle_seed: int | None = None) -> tf.data.Dataset:
    """Returns chunks of consecutive sessions.

    Args:
        dataset: An open dataset.
        split: Name of the split.
        shuffle_seed: Shuffle the sessions by this seed. Default: stored order.

    Returns:
        A `tf.data.Dataset` of pairs `(items int32 [events], lengths int64 [sessions])`.
    """
    spec = {"item": dataset.feature_spec["item"]}

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        item = tf.io.parse_example(serialized, spec)["item"]
        return tf.cast(item.flat_values, tf.int32), item.row_lengths()

    records = record_dataset(dataset, split, shuffle=shuffle_seed is not None, seed=shuffle_seed or 0)
    return with_pipeline_options(records.batch(_READ_BATCH).map(parse).prefetch(2))
