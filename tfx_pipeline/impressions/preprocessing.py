"""Transform's `preprocessing_fn` for click models: raw impressions to exactly the examples of a dataset directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from tfrec.config.impression_schema import ImpressionSchema, SequenceColumn
from tfrec.data.impressions.fit_fields import vocabulary_name
from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX
from tfx_pipeline.impressions.field_analyzer import (
    NOTHING,
    NUMBERS_FILE,
    QUANTILES,
    FieldAnalyzer,
    asset_names,
    vocabulary_names,
)
from tfx_pipeline.impressions.roles import ImpressionTransformSettings

PREPROCESSING_FN = "tfx_pipeline.impressions.preprocessing.preprocessing_fn"

Features = Mapping[str, tf.RaggedTensor]


def preprocessing_fn(inputs: Features, custom_config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Replaces ids by indices and scales numbers by what the split `train` teaches.

    What is learned, and so every index and every scaling, is what `tfrec.convert --impressions` learns: the same code
    runs as an analyzer of Transform. Numbers are float32 in raw examples, so that scaled ones may differ from those of
    `tfrec.convert` by the rounding of their raw values.

    Args:
        inputs: Raw features by name, ragged `[rows, (values)]`, see `tfx_pipeline.impressions.roles`.
        custom_config: From `ImpressionTransformSettings.custom_config`.

    Returns:
        The features of transformed examples.
    """
    settings = ImpressionTransformSettings.from_custom_config(custom_config)
    roles = settings.schema
    texts = {role.name: _first(inputs[role.name], "") for role in roles.categorical}
    numbers = [tf.cast(_first(inputs[role.name], float("nan")), tf.float64) for role in roles.numeric]
    lists = {role.name: _kept(inputs[role.name], role) for role in roles.sequence}
    ids = {role.name: lists[role.name] for role in roles.sequence if role.kind == "ids"}
    analysed = [*texts.values(), *([tf.stack(numbers)] if numbers else [])]
    analysed += [part for held in ids.values() for part in (held.flat_values, held.row_splits)]
    names = asset_names(roles)
    assets: Any = tft.experimental.ptransform_analyzer(
        analysed,
        FieldAnalyzer(roles, settings.seed),
        output_dtypes=[tf.string] * len(names),
        output_shapes=[[]] * len(names),
        output_asset_default_values=[NOTHING] * len(names),
    )
    files = dict(zip(names, assets, strict=True))
    tables = dict(zip(vocabulary_names(roles), assets, strict=False))  # the first ones
    shape = [len(numbers), 2 + QUANTILES]
    learned = tf.reshape(tf.io.decode_raw(tf.io.read_file(files[NUMBERS_FILE]), tf.float64), shape)
    outputs: dict[str, Any] = {}
    for role in roles.categorical:
        outputs[role.name] = _indices(texts[role.name], tables[vocabulary_name(role)])
    for place, (number, values) in enumerate(zip(roles.numeric, numbers, strict=True)):
        scaled = _scaled(values, number.missing, number.scaling or roles.scaling, learned[place])
        outputs[number.name] = tf.cast(scaled, tf.float32)
    for part in roles.sequence:
        held = lists[part.name]
        flat = held.flat_values
        if part.kind == "ids":
            flat = _indices(flat, tables[vocabulary_name(part)])
        else:
            flat = tf.cast(_scaled_as(tf.cast(flat, tf.float64), part, roles, learned), tf.float32)
        # Written as its name, a sparse feature; a ragged one would be written as `NAME$ragged_values`.
        outputs[part.name] = held.with_flat_values(flat).to_sparse()
    outputs[roles.label] = tf.cast(_first(inputs[roles.label], 0), tf.float32)
    return outputs


def _first(feature: Any, missing: Any) -> tf.Tensor:
    """The value of each row `[rows]`, or what stands for a missing one."""
    if not isinstance(feature, tf.RaggedTensor):
        return tf.reshape(feature, [-1])
    return feature.to_tensor(default_value=missing, shape=[None, 1])[:, 0]


def _kept(feature: tf.RaggedTensor, role: SequenceColumn) -> tf.RaggedTensor:
    return feature[:, -role.max_length :] if role.keep == "last" else feature[:, : role.max_length]


def _indices(values: tf.Tensor, asset: tf.Tensor) -> tf.Tensor:
    """Indices of texts `[n]` in the vocabulary of an asset."""
    found = tft.apply_vocabulary(tf.io.encode_base64(values), asset, default_value=OOV_INDEX - FIRST_INDEX)
    return found + tf.constant(FIRST_INDEX, found.dtype)


def _scaled_as(values: tf.Tensor, part: SequenceColumn, roles: ImpressionSchema, learned: tf.Tensor) -> tf.Tensor:
    """Numbers of a list by the scaling of the column that they share; unscaled without one."""
    if part.scaled_as is None:
        return _scaled(values, 0.0, "none", values)
    place = [role.name for role in roles.numeric].index(part.scaled_as)
    return _scaled(values, 0.0, roles.numeric[place].scaling or roles.scaling, learned[place])


def _scaled(values: tf.Tensor, missing: float, scaling: str, learned: tf.Tensor) -> tf.Tensor:
    """What `Field.scale` does with float64 `[n]`; `learned` has the least, the greatest, and quantiles."""
    values = tf.where(tf.math.is_nan(values), tf.constant(missing, tf.float64), values)
    if scaling == "min_max":
        spread = learned[1] - learned[0]
        return (values - learned[0]) / tf.where(tf.equal(spread, 0.0), tf.ones_like(spread), spread)
    if scaling == "quantile":
        known = tf.logical_not(tf.math.is_nan(learned[2]))  # there were training values
        return tf.where(known, _interpolated(values, learned[2:]), values)
    return values


def _interpolated(values: tf.Tensor, quantiles: tf.Tensor) -> tf.Tensor:
    """`numpy.interp` between quantiles, some of which may be equal, at equal distances in [0, 1]."""
    last = QUANTILES - 1
    below = tf.clip_by_value(tf.searchsorted(quantiles, values, side="right") - 1, 0, last - 1)
    low, high = tf.gather(quantiles, below), tf.gather(quantiles, below + 1)
    share = tf.clip_by_value(tf.math.divide_no_nan(values - low, high - low), 0.0, 1.0)
    inside = (tf.cast(below, tf.float64) + share) / last
    return tf.where(values >= quantiles[last], tf.ones_like(inside), inside)
