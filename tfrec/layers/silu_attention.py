"""Causal attention whose weights are SiLU of the scores, in memory that grows linearly with the length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrec.layers.relative_bias import TIME_BUCKETS, RelativeBias, kept_buckets, time_buckets

_BLOCK_SCORES = 1 << 20
"""Scores that are held at a time, unless a single piece of one row has more."""
_PIECE = 64
"""Queries of a long row that are handled at a time; keys after the last of them are left out."""
_BLOCKED = -1e9

_Grads = tuple[tf.Tensor, ...]


def silu_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    bias: RelativeBias,
    divisor: tf.Tensor,
    *,
    time: tf.Tensor | None = None,
    next_time: tf.Tensor | None = None,
    buckets: tf.Tensor | None = None,
) -> tf.Tensor:
    """`sum_j SiLU(q_i . k_j + bias_ij) v_j / divisor_i` over all j up to i: no softmax, weights may be negative.

    The scores are never all in memory: some rows, and of long rows some queries, are done at a time, forward and again
    backward. Rows are padded on the right, so that a real query meets no padding.

    Args:
        query: float `[batch, heads, seq, key width]`.
        key: float `[batch, heads, seq, key width]`.
        value: float `[batch, heads, seq, value width]`.
        bias: Learned biases.
        divisor: float32 `[seq]`.
        time: Milliseconds, int64 `[batch, seq]`; needed with `bias.by_time`.
        next_time: Time of the event after each, int64 `[batch, seq]`.
        buckets: What `kept_buckets` says of them. Default: they are computed here.

    Returns:
        float `[batch, heads, seq, value width]`; rows of padding hold values of no meaning.

    Reference: HSTU, arXiv 2402.17152, section 3; recomputation of blocks as in arXiv 2205.14135.
    """
    empty = tf.zeros([0])
    by_distance = empty if bias.by_distance is None else bias.by_distance
    by_time = empty if bias.by_time is None else bias.by_time

    @tf.custom_gradient
    def attend(*parts: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], _Grads]]:
        blocks = _Blocks(parts, bias, divisor, time, next_time, buckets)
        return blocks.forward(), blocks.backward

    return attend(query, key, value, by_distance, by_time)


def cached_silu_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    bias: RelativeBias,
    divisor: tf.Tensor,
    position: tf.Tensor,
    *,
    time: tf.Tensor | None = None,
    next_time: tf.Tensor | None = None,
) -> tf.Tensor:
    """As `silu_attention` for a few queries at places of their own among keys that are kept; without a gradient.

    Args:
        query: float `[batch, heads, new, key width]`.
        key: float `[batch, heads, seq, key width]`.
        value: float `[batch, heads, seq, value width]`.
        bias: Learned biases.
        divisor: float32 `[seq]`, by position.
        position: Place of each query among the keys, int32 `[batch, new]`; keys after it are not seen.
        time: Milliseconds of the keys, int64 `[batch, seq]`.
        next_time: Time of the event after each query, int64 `[batch, new]`.
    """
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)  # [batch, heads, new, seq]
    distance = position[:, :, tf.newaxis] - tf.range(tf.shape(key)[2])  # [batch, new, seq]
    if bias.by_distance is not None:
        scores += tf.gather(bias.by_distance, tf.maximum(distance, 0))[:, tf.newaxis]
    if bias.by_time is not None:
        scores += tf.gather(bias.by_time, time_buckets(next_time, time))[:, tf.newaxis]
    seen = tf.where(distance >= 0, 1.0 / tf.gather(divisor, position)[:, :, tf.newaxis], 0.0)  # [batch, new, seq]
    weights = tf.nn.silu(scores) * seen[:, tf.newaxis]
    return tf.matmul(tf.cast(weights, value.dtype), value)


class _Blocks:
    """The loops over some rows, and over pieces of the queries of long rows."""

    def __init__(
        self,
        parts: tuple[tf.Tensor, ...],
        bias: RelativeBias,
        divisor: tf.Tensor,
        time: Any,
        next_time: Any,
        buckets: tf.Tensor | None,
    ) -> None:
        self.query, self.key, self.value, self.by_distance, self.by_time = parts
        self.with_distance, self.with_time = bias.by_distance is not None, bias.by_time is not None
        self.time, self.next_time = time, next_time
        self.buckets: Any = kept_buckets(next_time, time) if self.with_time and buckets is None else buckets
        self.inverse = 1.0 / divisor  # [seq]
        self.batch, self.seq = tf.shape(self.query)[0], tf.shape(self.query)[2]
        self.piece = tf.minimum(self.seq, _PIECE)
        heads = self.query.shape[1]
        self.rows = tf.maximum(_BLOCK_SCORES // tf.maximum(heads * self.piece * self.seq, 1), 1)
        if self.with_time:  # one look-up for both directions, where it is kept
            self.bias = tf.gather(self.by_time, self.buckets)  # [batch, seq, seq] or [0, 0, 0]

    def forward(self) -> tf.Tensor:
        """Attended values `[batch, heads, seq, value width]`."""

        def one_block(start: tf.Tensor, done: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            block = slice(start, start + self.rows)
            query, key, value = self.query[block], self.key[block], self.value[block]

            def one_piece(first: tf.Tensor, attended: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                end = tf.minimum(first + self.piece, self.seq)
                scores, _ = self._scores(query, key, block, first, end)
                weights = tf.cast(scores * tf.sigmoid(scores), value.dtype)
                found = tf.matmul(weights, value[:, :, :end]) * self._inverse(first, end, value)
                return end, tf.concat([attended, found], axis=2)

            attended = self._loop(one_piece, self.seq, value[:, :, :0])
            return start + self.rows, tf.concat([done, attended], axis=0)

        return self._loop(one_block, self.batch, self.value[:0])

    def backward(self, upstream: tf.Tensor) -> _Grads:
        """Gradients of queries, keys, values and the two tables of biases."""

        def one_block(start: tf.Tensor, *done: tf.Tensor) -> tuple[tf.Tensor, ...]:
            block = slice(start, start + self.rows)
            query, key, value, towards = (part[block] for part in (self.query, self.key, self.value, upstream))

            def one_piece(first: tf.Tensor, *so_far: tf.Tensor) -> tuple[tf.Tensor, ...]:
                d_query, d_key, d_value, d_distance, d_time = so_far
                end = tf.minimum(first + self.piece, self.seq)
                ahead = [[0, 0], [0, 0], [0, self.seq - end], [0, 0]]
                own = towards[:, :, first:end] * self._inverse(first, end, value)
                scores, buckets = self._scores(query, key, block, first, end)
                share = tf.sigmoid(scores)
                weights = scores * share
                d_value += tf.pad(tf.matmul(tf.cast(weights, value.dtype), own, transpose_a=True), ahead)
                d_scores = tf.cast(tf.matmul(own, value[:, :, :end], transpose_b=True), tf.float32)
                d_scores *= share + weights * (1.0 - share)  # [block, heads, piece, end]
                if self.with_distance or self.with_time:
                    by_pair = tf.reduce_sum(d_scores, axis=1)  # [block, piece, end]
                    if self.with_distance:
                        distance = tf.reshape(self._distance(first, end), [-1])
                        size = tf.size(self.by_distance)
                        by_place = tf.reshape(tf.reduce_sum(by_pair, axis=0), [-1])
                        d_distance += tf.math.unsorted_segment_sum(by_place, distance, size)
                    if self.with_time:
                        d_time += _sums_by_bucket(by_pair, buckets)
                d_scores = tf.cast(d_scores, value.dtype)
                d_key += tf.pad(tf.matmul(d_scores, query[:, :, first:end], transpose_a=True), ahead)
                d_query = tf.concat([d_query, tf.matmul(d_scores, key[:, :, :end])], axis=2)
                return end, d_query, d_key, d_value, d_distance, d_time

            start_values = (query[:, :, :0], tf.zeros_like(key), tf.zeros_like(value), *done[3:])
            found = self._loop(one_piece, self.seq, *start_values)
            joined = [tf.concat([before, now], axis=0) for before, now in zip(done[:3], found[:3], strict=True)]
            return start + self.rows, *joined, *found[3:]

        tables = tf.zeros_like(self.by_distance), tf.zeros_like(self.by_time)
        return self._loop(one_block, self.batch, self.query[:0], self.key[:0], self.value[:0], *tables)

    def _loop(self, step: Callable[..., tuple[tf.Tensor, ...]], end: tf.Tensor, *values: tf.Tensor) -> _Grads:
        """Repeats a step from place 0 until its place is the end; returns the other values."""
        shapes = [
            tf.TensorShape([None, value.shape[1], None, value.shape[3]]) if value.shape.rank == 4 else value.shape
            for value in values
        ]
        found = tf.while_loop(
            lambda place, *_: place < end,
            step,
            (tf.constant(0), *values),
            shape_invariants=(tf.TensorShape([]), *shapes),
            parallel_iterations=1,
        )[1:]
        return found if len(found) > 1 else found[0]

    def _scores(
        self, query: tf.Tensor, key: tf.Tensor, block: slice, first: tf.Tensor, end: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Scores of some queries float32 `[block, heads, piece, end]`, and their time buckets `[block, piece, end]`."""
        scores = tf.cast(tf.matmul(query[:, :, first:end], key[:, :, :end], transpose_b=True), tf.float32)
        bias, buckets = None, None
        if self.with_time:
            bias, buckets = tf.cond(
                tf.size(self.buckets) > 0,
                lambda: (self.bias[block, first:end, :end], self.buckets[block, first:end, :end]),
                lambda: self._computed(block, first, end),
            )  # [block, piece, end]
        if self.with_distance:
            by_place = tf.gather(self.by_distance, self._distance(first, end))  # [piece, end]
            bias = by_place[tf.newaxis] if bias is None else bias + by_place
        # SiLU and its gradient are 0 for such scores: later keys need no pass of their own.
        later = tf.range(end) > tf.range(first, end)[:, tf.newaxis]  # [piece, end]
        later = tf.where(later, _BLOCKED, 0.0)[tf.newaxis]
        return scores + (later if bias is None else bias + later)[:, tf.newaxis], buckets

    def _computed(self, block: slice, first: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Biases and buckets of times `[block, piece, end]`, where they are not kept."""
        buckets = time_buckets(self.next_time[block, first:end], self.time[block, :end])
        return tf.gather(self.by_time, buckets), buckets

    def _distance(self, first: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """Events from each key to each query, 0 for later keys: int32 `[piece, end]`."""
        return tf.maximum(tf.range(first, end)[:, tf.newaxis] - tf.range(end), 0)

    def _inverse(self, first: tf.Tensor, end: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        """1 / divisor of some queries, `[piece, 1]`."""
        return tf.cast(self.inverse[first:end, tf.newaxis], like.dtype)


def _sums_by_bucket(values: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
    # Several times as fast as a segment sum over single numbers.
    flat = tf.reshape(buckets, [-1])
    return tf.raw_ops.DenseBincount(input=flat, size=TIME_BUCKETS, weights=tf.reshape(values, [-1]))
