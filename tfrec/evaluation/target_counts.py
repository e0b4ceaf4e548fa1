"""How many candidates score above, and at least as high as, each target: the inner loop of exact ranking."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class TargetCounts:
    """Counts per target.

    Args:
        greater: Candidates with a higher score than the target. int32 `[targets]`.
        greater_equal: Candidates with at least the target's score, the target included. int32 `[targets]`.
        candidates: Number of candidates, the target included. int32 `[targets]`.
        num_not_a_number: How many rows have a score that is not a number. int32 scalar.
    """

    greater: tf.Tensor
    greater_equal: tf.Tensor
    candidates: tf.Tensor
    num_not_a_number: tf.Tensor


def count_from_scores(scores: tf.Tensor, column: tf.Tensor, seen: tf.Tensor) -> TargetCounts:
    """Counts candidates around each target in a matrix of scores.

    The first two columns (padding and out of vocabulary) are never candidates. The target's score is read from the
    same matrix, so equal scores are found by exact comparison.

    Args:
        scores: Scores, float `[targets, columns]`.
        column: Column of each target, int32 `[targets]`.
        seen: Columns of items that are no candidates for the row, each at most once per row and never the target;
            values below 2 are ignored. int32 `[targets, any]`.

    Returns:
        The counts.
    """
    greater, greater_equal, candidates, bad = _count(scores, column, seen)
    return TargetCounts(greater, greater_equal, candidates, bad)


def count_from_factors(
    encodings: tf.Tensor, table: tf.Tensor, bias: tf.Tensor | None, column: tf.Tensor, seen: tf.Tensor
) -> TargetCounts:
    """As `count_from_scores` with scores = encodings . table^T + bias, made and counted in one graph call.

    Args:
        encodings: One vector per target, float `[targets, dim]`.
        table: One row per column, float `[columns, dim]`.
        bias: float `[columns]`, or None.
        column: Column of each target, int32 `[targets]`.
        seen: As in `count_from_scores`.

    Returns:
        The counts.
    """
    if bias is None:
        greater, greater_equal, candidates, bad = _count_product(encodings, table, column, seen)
    else:
        greater, greater_equal, candidates, bad = _count_biased_product(encodings, table, bias, column, seen)
    return TargetCounts(greater, greater_equal, candidates, bad)


@tf.function(reduce_retracing=True)
def first_occurrences(items: tf.Tensor) -> tf.Tensor:
    """Replaces every repetition of an item within its row by 0, keeping the first occurrence.

    Args:
        items: Item indices, int32 `[batch, seq]`.

    Returns:
        int32 `[batch, seq]`.
    """
    order = tf.argsort(items, axis=1, stable=True)  # [batch, seq]
    ordered = tf.gather(items, order, batch_dims=1)  # [batch, seq]
    repeated = tf.pad(tf.equal(ordered[:, 1:], ordered[:, :-1]), [[0, 0], [1, 0]])  # [batch, seq]
    kept = tf.where(repeated, 0, ordered)  # [batch, seq]
    return tf.gather(kept, tf.argsort(order, axis=1), batch_dims=1)  # [batch, seq]


Counts = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


@tf.function(reduce_retracing=True)
def _count(scores: tf.Tensor, column: tf.Tensor, seen: tf.Tensor) -> Counts:
    return _count_graph(scores, column, seen)


@tf.function(reduce_retracing=True)
def _count_product(encodings: tf.Tensor, table: tf.Tensor, column: tf.Tensor, seen: tf.Tensor) -> Counts:
    return _count_graph(tf.matmul(encodings, table, transpose_b=True), column, seen)


@tf.function(reduce_retracing=True)
def _count_biased_product(
    encodings: tf.Tensor, table: tf.Tensor, bias: tf.Tensor, column: tf.Tensor, seen: tf.Tensor
) -> Counts:
    return _count_graph(tf.matmul(encodings, table, transpose_b=True) + bias, column, seen)


def _count_graph(scores: tf.Tensor, column: tf.Tensor, seen: tf.Tensor) -> Counts:
    target = tf.gather(scores, column, batch_dims=1)[:, tf.newaxis]  # [targets, 1]
    greater = _number(scores > target)  # [targets]
    greater_equal = _number(scores >= target)  # [targets]
    # Every comparison with NaN is false: a row without NaN has each column either below or at least as high.
    complete = tf.equal(greater_equal + _number(scores < target), tf.shape(scores)[1])  # [targets]
    zero = tf.zeros_like(column)[:, tf.newaxis]  # [targets, 1]
    outside = tf.concat([zero, zero + 1, seen], axis=1)  # [targets, 2 + any]
    counted = tf.concat([zero >= 0, zero >= 0, seen >= 2], axis=1)  # [targets, 2 + any]
    outside_scores = tf.gather(scores, outside, batch_dims=1)  # [targets, 2 + any]
    return (
        greater - _number(counted & (outside_scores > target)),
        greater_equal - _number(counted & (outside_scores >= target)),
        tf.shape(scores)[1] - _number(counted),
        _number(tf.logical_not(complete)),
    )


def _number(condition: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(condition, tf.int32), axis=-1)
