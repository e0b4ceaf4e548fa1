"""Transform's `preprocessing_fn`: raw examples to exactly the sequence examples of a dataset directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import tensorflow as tf
import tensorflow_transform as tft

from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, PADDING_INDEX
from tfrec.errors import ConfigError, did_you_mean
from tfrec.serving.client.id_arrays import UNKNOWN_ID
from tfx_pipeline.features import (
    ITEM,
    NUM_TARGETS,
    SEQUENCE_FEATURES,
    TIME_FEATURES,
    TIMESTAMP,
    USER,
    USER_ID,
    TransformSettings,
)

_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
# In this format ids may hold line breaks; in text files TensorFlow Transform drops such ids.
_FORMAT = "tfrecord_gzip"

Feature: TypeAlias = tf.Tensor | tf.RaggedTensor | tf.SparseTensor


def preprocessing_fn(
    inputs: Mapping[str, Feature], custom_config: Mapping[str, Any] | None = None
) -> dict[str, Feature]:
    """Replaces raw ids by indices, scales numbers and adds time features.

    Indices are those of `tfrec.convert`: 2.. by descending count of training events, ties by the id as text, bytes
    descending; 1 for ids outside the vocabulary. Vocabularies must be computed from the split `train` alone
    (`splits_config` of Transform). Further event features: categories of the settings get a vocabulary of their own as
    `tfrec.convert --event-features` does; of others, floats are scaled to mean 0 and deviation 1 over the training
    events, strings get a vocabulary, integers stay as they are.

    Args:
        inputs: Raw features by name (see `tfx_pipeline.features`): `item`, `timestamp` and event features ragged
            `[batch, (events)]`, the others `[batch, 1]` or `[batch]`.
        custom_config: From `TransformSettings.custom_config`.

    Returns:
        The features of transformed examples.
    """
    settings = TransformSettings.from_custom_config(custom_config)
    item, timestamp = _ragged(inputs[ITEM]), _ragged(inputs[TIMESTAMP])
    outputs: dict[str, Feature] = {
        ITEM: _indices(item, item.flat_values, ITEM, settings.min_item_count, settings.max_items),
        TIMESTAMP: timestamp,
        USER_ID: inputs[USER_ID],
    }
    if USER in inputs:
        user = inputs[USER]
        events = tf.repeat(tf.reshape(user, [-1]), item.row_lengths())  # users count by their events
        outputs[USER] = _indices(user, events, USER, settings.min_user_count, None)
    outputs[NUM_TARGETS] = inputs[NUM_TARGETS]
    for name in settings.time_features:
        outputs[name] = timestamp.with_flat_values(time_feature(name, timestamp.flat_values))
    for name in sorted(set(inputs) - set(SEQUENCE_FEATURES)):
        feature = _ragged(inputs[name])
        outputs[name] = _category(name, feature) if name in settings.categories else _event_feature(name, feature)
    # Written as `item`, a sparse feature; a ragged one would be written as `item$ragged_values`.
    return {
        name: feature.to_sparse() if isinstance(feature, tf.RaggedTensor) else feature
        for name, feature in outputs.items()
    }


def _indices(values: Feature, counted: tf.Tensor, name: str, least: int, most: int | None) -> Feature:
    """Indices of `values` in the vocabulary of `counted`."""
    vocabulary = tft.vocabulary(
        counted,
        top_k=most,
        frequency_threshold=least if least > 1 else None,
        vocab_filename=name,
        file_format=_FORMAT,
    )
    found = tft.apply_vocabulary(values, vocabulary, default_value=OOV_INDEX - FIRST_INDEX, file_format=_FORMAT)
    return found + tf.constant(FIRST_INDEX, found.dtype)


def _category(name: str, feature: tf.RaggedTensor) -> tf.RaggedTensor:
    """Indices in a vocabulary of its own; 0 where there is no value."""
    values = feature.flat_values  # [events]
    missing = tf.equal(values, UNKNOWN_ID["string" if values.dtype == tf.string else "int64"])
    indices = _indices(feature, tf.boolean_mask(values, ~missing), name, 1, None)
    return indices.with_flat_values(tf.where(missing, tf.cast(PADDING_INDEX, tf.int64), indices.flat_values))


def _event_feature(name: str, feature: tf.RaggedTensor) -> tf.RaggedTensor:
    values = feature.flat_values  # [events]
    if values.dtype == tf.string:
        return _indices(feature, values, name, 1, None)
    if values.dtype.is_floating:
        return feature.with_flat_values(tft.scale_to_z_score(values))
    return feature


def time_feature(name: str, milliseconds: tf.Tensor) -> tf.Tensor:
    """Returns the hour (0-23) or the weekday (0 = Monday) of times, UTC.

    Args:
        name: `hour` or `weekday`.
        milliseconds: Since 1970, int64 `[events]`.

    Raises:
        ConfigError: Another name.
    """
    if name == "hour":
        return milliseconds % _DAY_MS // _HOUR_MS  # [events]
    if name == "weekday":
        return (milliseconds // _DAY_MS + _EPOCH_WEEKDAY) % 7  # [events]
    raise ConfigError(f"Unknown time feature `{name}`.", remedy=did_you_mean(name, TIME_FEATURES))


def _ragged(feature: Feature) -> tf.RaggedTensor:
    """Sequences are ragged by the schema; sparse ones come from a schema without that option."""
    return tf.RaggedTensor.from_sparse(feature) if isinstance(feature, tf.SparseTensor) else feature
