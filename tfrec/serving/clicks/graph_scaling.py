"""Scaling of numbers in a graph, equal to `Field.scale`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfrec.data.impressions.fields import Field


def scaled(fields: Sequence[Field], values: tf.Tensor) -> tf.Tensor:
    """Scales numbers with what the training rows had.

    Args:
        fields: One per row of `values`.
        values: float64 `[fields, n]`, not-a-number where missing.

    Returns:
        float32 `[fields, n]`. The graph fails where a number is infinite, naming the columns.
    """
    infinite = tf.math.is_inf(values)
    names = tf.constant([field.name for field in fields])
    guilty = tf.boolean_mask(names, tf.reduce_any(infinite, axis=1))
    tf.debugging.Assert(~tf.reduce_any(infinite), ["A number is infinite, in the columns", guilty])
    missing = _column([field.missing for field in fields])
    values = tf.where(tf.math.is_nan(values), missing, values)
    groups = [_scale_kind(field) for field in fields]
    parts, order = [], []
    for kind in dict.fromkeys(groups):
        rows = [row for row, other in enumerate(groups) if other == kind]
        chosen = [fields[row] for row in rows]
        part = tf.gather(values, rows)
        if kind == "min_max":
            span = _column([(field.high - field.low) or 1.0 for field in chosen])
            part = (part - _column([field.low for field in chosen])) / span
        elif kind == "quantile":
            part = tf.stack(
                [_interpolated(field.quantiles, row) for field, row in zip(chosen, tf.unstack(part), strict=True)]
            )
        parts.append(part)
        order += rows
    return tf.cast(tf.gather(tf.concat(parts, axis=0), np.argsort(order)), tf.float32)


def _scale_kind(field: Field) -> str:
    return "none" if field.scaling == "quantile" and len(field.quantiles) < 2 else field.scaling


def _column(numbers: Sequence[float]) -> tf.Tensor:
    return tf.constant(numbers, tf.float64)[:, tf.newaxis]


def _interpolated(quantiles: Sequence[float], values: tf.Tensor) -> tf.Tensor:
    """`numpy.interp` of float64 `[n]` between quantiles, whose places are evenly in [0, 1]; quantiles may be equal."""
    known, last = tf.constant(quantiles, tf.float64), len(quantiles) - 1
    places = tf.constant(np.linspace(0.0, 1.0, last + 1))
    at = tf.searchsorted(known, values, side="right") - 1  # known[at] <= value < known[at + 1]
    low = tf.clip_by_value(at, 0, last - 1)
    below, above = tf.gather(known, low), tf.gather(known, low + 1)
    start, end = tf.gather(places, low), tf.gather(places, low + 1)
    slope = tf.math.divide_no_nan(end - start, above - below)
    inside = slope * (values - below) + start
    return tf.where(at < 0, places[0], tf.where(at >= last, places[last], inside))
