"""Padded batches of sequences from a dataset directory."""

from __future__ import annotations

import tensorflow as tf

from tfrec.data.dataset import InteractionDataset
from tfrec.data.pipeline_options import PREFETCHED_BATCHES, parallel_calls, with_pipeline_options
from tfrec.errors import ConfigError

_SHUFFLE_BUFFER = 50_000
_INTERLEAVED_SHARDS = 4
_WINDOW_BATCHES = 32


def sequence_dataset(
    dataset: InteractionDataset,
    split: str,
    batch_size: int,
    *,
    shuffle: bool = False,
    seed: int = 0,
    max_length: int | None = None,
    bucket_by_length: bool = False,
    repeat: bool = False,
    drop_remainder: bool = False,
    pad: bool = True,
) -> tf.data.Dataset:
    """Returns batches of sequences, right-padded with 0 to the longest of each batch.

    Records are batched before they are parsed, which is several times faster than parsing one by one.

    Args:
        dataset: An open dataset.
        split: Name of the split.
        batch_size: Sequences per batch.
        shuffle: Shuffle shards, interleave them and shuffle sequences in a buffer of 50,000. The order depends on
            `seed` only and differs from one iteration over the returned dataset to the next. Without it, batches come
            in time order.
        seed: Seed of the shuffle.
        max_length: Keep the last `max_length` events of each sequence (at least 2); `num_targets` is clipped to match.
        bucket_by_length: Sort sequences by length inside windows of 32 batches, so that batches hold sequences of
            similar length and little padding; with `shuffle`, the batches of a window are shuffled.
        repeat: Repeat without end (reshuffled each time).
        drop_remainder: Drop the last, smaller batch.
        pad: False: features of events stay ragged, for readers that keep few events of each sequence.

    Returns:
        A `tf.data.Dataset` of dicts: `item` int32 `[batch, seq]`, `timestamp` int64 `[batch, seq]` (milliseconds),
        `length` int32 `[batch]`, `num_targets` int32 `[batch]`, `user_id` int64 or string `[batch]`, and `user` int32
        `[batch]` when there is a user vocabulary.

    Raises:
        ConfigError: Unknown split, `batch_size` < 1 or `max_length` < 2.
    """
    if batch_size < 1:
        raise ConfigError(f"`batch_size` must be at least 1, received {batch_size}.")
    if max_length is not None and max_length < 2:
        raise ConfigError(f"`max_length` must be at least 2 (one event and one target), received {max_length}.")
    spec = dataset.feature_spec

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.RaggedTensor]:
        parsed = tf.io.parse_example(serialized, spec)
        for name, feature in spec.items():
            if isinstance(feature, tf.io.RaggedFeature) and max_length is not None:
                parsed[name] = parsed[name][:, -max_length:]
        length = tf.cast(parsed["item"].row_lengths(), tf.int32)  # [batch]
        parsed["item"] = tf.cast(parsed["item"], tf.int32)
        parsed["length"] = length
        parsed["num_targets"] = tf.minimum(tf.cast(parsed["num_targets"], tf.int32), length - 1)
        if "user" in parsed:
            parsed["user"] = tf.cast(parsed["user"], tf.int32)
        return parsed

    records = record_dataset(dataset, split, shuffle=shuffle, seed=seed)
    if repeat:
        records = records.repeat()
    if bucket_by_length:
        windows = records.batch(batch_size * _WINDOW_BATCHES).map(parse, num_parallel_calls=parallel_calls())
        batches = windows.enumerate().flat_map(
            lambda number, window: _bucketed(number, window, batch_size, shuffle, seed, drop_remainder)
        )
        batches = batches.map(_pad, num_parallel_calls=parallel_calls()) if pad else batches
    else:
        batches = records.batch(batch_size, drop_remainder=drop_remainder)
        batches = batches.map(
            lambda serialized: _pad(parse(serialized)) if pad else parse(serialized),
            num_parallel_calls=parallel_calls(),
        )
    return with_pipeline_options(batches.prefetch(PREFETCHED_BATCHES))


def record_dataset(dataset: InteractionDataset, split: str, *, shuffle: bool = False, seed: int = 0) -> tf.data.Dataset:
    """Returns the serialized examples of a split, in stored order or shuffled by shard and in a buffer.

    Args:
        dataset: An open dataset.
        split: Name of the split.
        shuffle: Shuffle shards, interleave them and shuffle in a buffer of 50,000, anew in every iteration.
        seed: Seed of the shuffle.

    Returns:
        A `tf.data.Dataset` of string scalars.
    """
    paths = dataset.shard_paths(split)
    if not shuffle:
        return dataset.records(paths)
    shards = tf.data.Dataset.from_tensor_slices(paths)
    shards = shards.shuffle(len(paths), seed=seed, reshuffle_each_iteration=True)
    records = shards.interleave(
        dataset.records,
        cycle_length=min(len(paths), _INTERLEAVED_SHARDS),
        block_length=16,
    )
    buffer = min(dataset.num_sequences(split), _SHUFFLE_BUFFER)
    return records.shuffle(buffer, seed=seed, reshuffle_each_iteration=True)


def _pad(batch: dict[str, tf.Tensor | tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    return {
        name: value.to_tensor() if isinstance(value, tf.RaggedTensor) else value for name, value in batch.items()
    }  # [batch, seq] or [batch]


def _bucketed(
    number: tf.Tensor,
    window: dict[str, tf.Tensor | tf.RaggedTensor],
    batch_size: int,
    shuffle: bool,
    seed: int,
    drop_remainder: bool,
) -> tf.data.Dataset:
    size = tf.shape(window["length"])[0]
    order = tf.argsort(window["length"], stable=True)  # [window]
    count = size // batch_size if drop_remainder else (size + batch_size - 1) // batch_size
    starts = tf.range(count) * batch_size  # [batches]
    if shuffle:
        noise = tf.random.stateless_uniform([count], seed=[tf.constant(seed, tf.int64), number])
        starts = tf.gather(starts, tf.argsort(noise, stable=True))

    def select(start: tf.Tensor) -> dict[str, tf.Tensor | tf.RaggedTensor]:
        rows = order[start : tf.minimum(start + batch_size, size)]  # [batch]
        return {name: tf.gather(value, rows) for name, value in window.items()}

    return tf.data.Dataset.from_tensor_slices(starts).map(select)
