"""Batches of impressions from a dataset directory, or from rows encoded in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.example_encoder import FeatureColumn
from tfrec.data.impressions.fields import FieldSet
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.pipeline_options import PREFETCHED_BATCHES, parallel_calls, with_pipeline_options
from tfrec.errors import ConfigError

_SHUFFLE_BUFFER = 16_384
_INTERLEAVED_SHARDS = 4

LABEL = "label"


def impression_batches(
    dataset: ImpressionDataset,
    split: str,
    batch_size: int,
    *,
    max_length: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
) -> tf.data.Dataset:
    """Returns batches of the rows of a split.

    Args:
        dataset: An open dataset.
        split: Name of the split.
        batch_size: Rows per batch.
        max_length: Latest (or first, as the field says) values of lists that are kept, where that is fewer than the
            dataset has.
        shuffle: Shuffle shards, interleave them, and shuffle rows in a buffer; without it rows come in stored order.
        seed: Seed of the shuffle.

    Returns:
        Dicts by feature name: int32 `[batch]` (categories), float32 `[batch]` (numbers), lists padded on the right
        with 0 to the longest of the batch, int32 or float32 `[batch, length]`, with `NAME/length` int32 `[batch]`; and
        `label` float32 `[batch]`.

    Raises:
        ConfigError: Unknown split, or `batch_size` < 1.
    """
    if batch_size < 1:
        raise ConfigError(f"`batch_size` must be at least 1, received {batch_size}.")
    paths = dataset.shard_paths(split)
    spec, fields = dataset.feature_spec, dataset.encoder.fields

    def read(files: tf.Tensor | list[str]) -> tf.data.Dataset:
        return tf.data.TFRecordDataset(files, compression_type=dataset.compression_type)

    if shuffle:
        shards = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths), seed=seed)
        records = shards.interleave(read, cycle_length=min(len(paths), _INTERLEAVED_SHARDS), block_length=16)
        records = records.shuffle(min(dataset.num_rows(split), _SHUFFLE_BUFFER), seed=seed)
    else:
        records = read(paths)

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return _batch(tf.io.parse_example(serialized, spec), fields, max_length)

    batches = records.batch(batch_size).map(parse, num_parallel_calls=parallel_calls())
    return with_pipeline_options(batches.prefetch(PREFETCHED_BATCHES))


def _batch(
    parsed: Mapping[str, tf.Tensor | tf.RaggedTensor], fields: FieldSet, max_length: int | None
) -> dict[str, tf.Tensor]:
    batch: dict[str, tf.Tensor] = {LABEL: parsed[fields.label]}
    for field in fields.fields:
        value = parsed[field.name]
        value = tf.cast(value, tf.int32) if field.kind in ("category", "ids") else value
        if field.is_list:
            if max_length is not None and max_length < field.max_length:
                value = value[:, -max_length:] if field.keep == "last" else value[:, :max_length]
            batch[f"{field.name}/length"] = value.row_lengths()  # [batch]
            value = value.to_tensor()  # [batch, length]
        batch[field.name] = value
    return batch


def batch_of_columns(
    columns: Mapping[str, FeatureColumn], fields: FieldSet, max_length: int | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Returns encoded rows as a batch, like those of `impression_batches` but without a label.

    Args:
        columns: From `FieldEncoder.encode`.
        fields: The fields.
        max_length: As there.
    """
    batch: dict[str, npt.NDArray[Any]] = {}
    for field in fields.fields:
        column = columns[field.name]
        values: npt.NDArray[Any] = column.values.astype(np.int32 if field.kind in ("category", "ids") else np.float32)
        if not field.is_list:
            batch[field.name] = values
            continue
        lengths, starts = np.diff(column.offsets), column.offsets[:-1]
        kept = lengths if max_length is None else np.minimum(lengths, max_length)
        if field.keep == "last":
            starts = starts + lengths - kept
        width = int(kept.max(initial=0))
        place = np.arange(width)
        inside = place < kept[:, None]  # [rows, width]
        padded = np.zeros(inside.shape, values.dtype)
        padded[inside] = values[(starts[:, None] + place)[inside]]
        batch[field.name] = padded
        batch[f"{field.name}/length"] = kept.astype(np.int32)
    return batch
