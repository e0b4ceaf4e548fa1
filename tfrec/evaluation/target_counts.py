"""How many candidates score above, and at least as high as, each target, and which are best: ranking's inner loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from tfrec.evaluation.top_columns import BLOCK, column_blocks, top_columns


@dataclass(frozen=True)
class TargetCounts:
    """Counts per target.

    Args:
        greater: Candidates with a higher score than the target. int32 `[targets]`.
        greater_equal: Candidates with at least the target's score, the target included. int32 `[targets]`.
        candidates: Number of candidates, the target included. int32 `[targets]`.
        num_unfit: How many rows have a score that is not a number or plus infinity. int32 scalar.
        top: Columns of the candidates with the highest scores, best first, equal scores by column; -1 where there are
            no more candidates. int32 `[targets, list_length]`.
    """

    greater: tf.Tensor
    greater_equal: tf.Tensor
    candidates: tf.Tensor
    num_unfit: tf.Tensor
    top: tf.Tensor


def count_from_scores(
    scores: tf.Tensor, column: tf.Tensor, seen: tf.Tensor, *, list_length: int = 0, check: bool = True
) -> TargetCounts:
    """Counts candidates around each target in a matrix of scores.

    The first two columns (padding and out of vocabulary) are never candidates. The target's score is read from the
    same matrix, so equal scores are found by exact comparison.

    Args:
        scores: Scores, float `[targets, columns]`.
        column: Column of each target, int32 `[targets]`.
        seen: Columns of items that are no candidates for the row, each at most once per row and never the target;
            values below 2 are ignored. int32 `[targets, any]`.
        list_length: Number of best candidates to return, at most the number of columns. Default: none.
        check: Look for scores that cannot be ranked. Without it `num_unfit` is 0. Default: true.

    Returns:
        The counts.
    """
    return TargetCounts(*_counter(1, scores.dtype, list_length, check)(scores, column, seen))


def count_from_factors(
    encodings: tf.Tensor,
    table: tf.Tensor,
    bias: tf.Tensor | None,
    column: tf.Tensor,
    seen: tf.Tensor,
    *,
    list_length: int = 0,
    check: bool = True,
) -> TargetCounts:
    """As `count_from_scores` with scores = encodings . table^T + bias, made and counted in one graph call.

    Args:
        encodings: One vector per target, float `[targets, dim]`.
        table: One row per column, float `[columns, dim]`.
        bias: float `[columns]`, or None.
        column: Column of each target, int32 `[targets]`.
        seen: As in `count_from_scores`.
        list_length: As in `count_from_scores`.
        check: As in `count_from_scores`.

    Returns:
        The counts.
    """
    inputs = [encodings, table] if bias is None else [encodings, table, bias]
    return TargetCounts(*_counter(len(inputs), table.dtype, list_length, check)(*inputs, column, seen))


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


Counts = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


@functools.cache
def _counter(sources: int, dtype: tf.DType, list_length: int, check: bool) -> Callable[..., Counts]:
    """The graph that counts, traced once for any number of rows and columns.

    Args:
        sources: 1: scores; 2: encodings and table; 3: encodings, table and bias.
        dtype: Their type.
        list_length: Number of best candidates to return.
        check: Look for scores that cannot be ranked.
    """
    matrix, indices = tf.TensorSpec([None, None], dtype), tf.TensorSpec([None], tf.int32)
    specs = [matrix, matrix, tf.TensorSpec([None], dtype)][:sources]

    def count(*inputs: tf.Tensor) -> Counts:
        *made_from, column, seen = inputs
        scores = made_from[0]
        if sources > 1:
            scores = tf.matmul(scores, made_from[1], transpose_b=True)  # [targets, columns]
        if sources > 2:
            scores = scores + made_from[2]
        return _count_graph(scores, column, seen, list_length, check)

    traced = tf.function(count, autograph=False)
    function: Callable[..., Counts] = traced.get_concrete_function(
        *specs, indices, tf.TensorSpec([None, None], tf.int32)
    )
    return function


def _count_graph(scores: tf.Tensor, column: tf.Tensor, seen: tf.Tensor, list_length: int, check: bool) -> Counts:
    lowest = tf.constant(-float("inf"), scores.dtype)
    target = tf.gather(scores, column, batch_dims=1)[:, tf.newaxis]  # [targets, 1]
    unfit = tf.constant(0)
    if check:  # a comparison with NaN is false, as is the one of plus infinity with itself
        unfit = _number(tf.logical_not(tf.reduce_all(scores < -lowest, axis=1)))
    zero = tf.zeros_like(column)[:, tf.newaxis]  # [targets, 1]
    outside = tf.concat([zero, zero + 1, tf.maximum(seen, 0)], axis=1)  # [targets, 2 + any]
    hidden = 2 + _number(seen >= 2)  # [targets]
    width = tf.shape(outside)[1]
    row = tf.repeat(tf.range(tf.shape(scores)[0]), width)  # [targets * (2 + any)]
    place = tf.stack([row, tf.reshape(outside, [-1])], axis=1)  # [targets * (2 + any), 2]
    competing = tf.tensor_scatter_nd_update(scores, place, tf.fill(tf.shape(row), lowest))  # [targets, columns]
    blocks = column_blocks(competing)  # [targets, blocks, 64]
    target = target[:, :, tf.newaxis]  # [targets, 1, 1]
    filled = tf.shape(blocks)[1] * BLOCK - tf.shape(scores)[1] + hidden  # [targets]; columns at minus infinity
    greater_equal = _number_in_blocks(blocks >= target)  # [targets]
    return (
        _number_in_blocks(blocks > target),
        greater_equal - tf.where(tf.equal(target[:, 0, 0], lowest), filled, 0),
        tf.shape(scores)[1] - hidden,
        unfit,
        top_columns(blocks, list_length),
    )


def _number(condition: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(condition, tf.int32), axis=-1)


def _number_in_blocks(condition: tf.Tensor) -> tf.Tensor:
    """Counts in bytes first, which moves a quarter of the memory: a block has at most 64, a byte holds 127."""
    return tf.reduce_sum(tf.cast(tf.reduce_sum(tf.cast(condition, tf.int8), axis=2), tf.int32), axis=1)  # [targets]
