"""Attention over rows of different lengths, a block of rows at a time, with memory linear in the length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfrec.layers.hashed_dropout import keep_mask, random_shorts

_BLOCKED = -1e9
_BLOCK_SCORES = 1 << 21
"""Scores that are held at a time, unless a single piece of one row has more."""
_PIECE = 512
"""Queries of a long row that are handled at a time."""
_HELD_SCORES = 1 << 25
"""So many weights, 128 MiB, training holds from the way forward for the way back, instead of computing them again."""


def blockwise_attention(
    qkv: tf.Tensor,
    lengths: tf.Tensor,
    heads: int,
    *,
    causal: bool = False,
    dropout: float = 0.0,
    seed: tf.Tensor | None = None,
    training: bool = False,
) -> tf.Tensor:
    """Multi-head scaled dot-product attention of every token over the tokens of its row.

    Scores are not all in memory, unless they are few: a block of rows (of rows longer than 512, a piece of the queries)
    is done at a time, forward and again backward, so memory grows linearly with the length. There is no padding between
    rows; within a block rows are padded to the longest, so that rows in descending order of length waste least.

    Args:
        qkv: Queries, keys and values side by side, float32 `[tokens, 3 * dim]`, row after row.
        lengths: Tokens of every row, int32 `[rows]`, at least 1 each.
        heads: Number of heads; divides `dim`.
        causal: A token sees only itself and those before it.
        dropout: Drop-out rate of the attention weights.
        seed: int32 `[2]`; None means no drop-out.
        training: Gradients will be asked for; if the weights are few, they are held until then.

    Returns:
        float32 `[tokens, dim]`.

    Reference: arXiv 1706.03762; recomputation of blocks as in arXiv 2205.14135.
    Differences: a block holds whole rows of scores, so no running maximum is needed. Drop-out is hashed (`keep_mask`).
    """
    rate = 0.0 if seed is None else dropout
    start = tf.zeros([2], tf.int32) if seed is None else tf.cast(seed, tf.int32)
    rows = _Rows(lengths, heads, causal, rate, start, training)

    @tf.custom_gradient
    def attend(packed: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        parts, *held = rows.each_block(lambda block: block.forward(packed), [tf.float32, *rows.held])
        attended = tf.ensure_shape(parts.concat(), [None, packed.shape[1] // 3])

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            parts = rows.each_block(lambda block: [block.backward(packed, attended, upstream, held)], [tf.float32])
            return tf.ensure_shape(parts[0].concat(), [None, packed.shape[1]])

        return attended, gradient

    return attend(qkv)


class _Rows:
    """The loop over blocks of rows; both directions visit the same blocks in the same order."""

    def __init__(
        self, lengths: tf.Tensor, heads: int, causal: bool, rate: float, seed: tf.Tensor, training: bool
    ) -> None:
        self.heads, self.causal, self.rate, self.seed = heads, causal, rate, seed
        self.lengths = tf.cast(lengths, tf.int32)
        self.starts = tf.cumsum(self.lengths, exclusive=True)  # [rows]
        # The longest row from each row on is the width of a block that begins there.
        self.widths = _suffix_maximum(self.lengths, tf.shape(self.lengths)[0])  # [rows]
        scores = tf.cast(heads, tf.int64) * tf.reduce_sum(tf.square(tf.cast(self.lengths, tf.int64)))
        # Few enough to be held:
        self.few = tf.logical_and(scores <= _HELD_SCORES, tf.reduce_max(self.lengths) <= _PIECE)
        kinds = [tf.float32, tf.bool] if rate else [tf.float32]  # weights, and which of them are kept
        self.held = kinds if training else []

    def each_block(self, function: Callable[[_Block], Sequence[tf.Tensor]], kinds: Sequence[Any]) -> list[Any]:
        """Collects what a function returns for every block, an array of as many tensors for each kind."""
        rows = tf.shape(self.lengths)[0]

        def step(row: tf.Tensor, number: tf.Tensor, *arrays: Any) -> tuple[Any, ...]:
            block = _Block(self, row, number)
            parts = zip(arrays, function(block), strict=True)
            return block.row_end, number + 1, *(array.write(number, part) for array, part in parts)

        arrays = [tf.TensorArray(kind, size=0, dynamic_size=True, infer_shape=False) for kind in kinds]
        start = (tf.constant(0), tf.constant(0), *arrays)
        return list(tf.while_loop(lambda row, *_: row < rows, step, start, parallel_iterations=1)[2:])


def _suffix_maximum(lengths: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Largest length from each row on, int32 `[rows]`, by doubling the span that is looked at."""

    def widen(span: tf.Tensor, largest: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        later = tf.pad(largest[tf.minimum(span, count) :], [[0, tf.minimum(span, count)]])
        return span * 2, tf.maximum(largest, later)

    invariants = (tf.TensorShape([]), tf.TensorShape([None]))
    start = (tf.constant(1), lengths)
    return tf.while_loop(lambda span, _: span < count, widen, start, shape_invariants=invariants)[1]


class _Block:
    """Some rows of nearly equal length, padded to the longest."""

    def __init__(self, rows: _Rows, row: tf.Tensor, number: tf.Tensor) -> None:
        self.rows, self.number = rows, number
        self.width = rows.widths[row]  # tokens of the longest row
        self.piece = tf.minimum(self.width, _PIECE)
        fit = tf.maximum(_BLOCK_SCORES // (rows.heads * self.piece * self.width), 1)
        fit = tf.where(self.width > _PIECE, 1, fit)
        self.row = row
        self.row_end = tf.minimum(row + fit, tf.shape(rows.lengths)[0])
        lengths = rows.lengths[row : self.row_end]  # [block]
        self.first = rows.starts[row]
        place = tf.range(self.width)
        self.real = place < lengths[:, tf.newaxis]  # [block, width]
        offsets = rows.starts[row : self.row_end] - self.first
        # Padding repeats the last token of its row; it is masked as a key and ignored as a query.
        self.padded_index = offsets[:, tf.newaxis] + tf.minimum(place, lengths[:, tf.newaxis] - 1)  # [block, width]
        self.flat_index = tf.cast(tf.where(tf.reshape(self.real, [-1]))[:, 0], tf.int32)  # [tokens of the block]
        self.tokens = tf.reduce_sum(lengths)

    def forward(self, packed: tf.Tensor) -> list[tf.Tensor]:
        """Attended values `[tokens, dim]`, and what is held for the way back; nothing where that is too much."""
        query, key, value = self._split(packed)
        value *= self._gain  # what drop-out leaves is scaled here, where there is least to scale

        def one_piece(start: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
            weights, *kept = drawn = self._weights(query, key, start)
            if kept:
                weights *= tf.cast(kept[0], tf.float32)
            return tf.matmul(weights, value), drawn  # [block, heads, piece, head]

        first, drawn = one_piece(tf.constant(0))
        shape = tf.TensorShape([None, first.shape[1], None, first.shape[3]])
        _, attended = tf.while_loop(
            lambda start, _: start < self.width,
            lambda start, done: (start + self.piece, tf.concat([done, one_piece(start)[0]], axis=2)),
            (self.piece, first),
            shape_invariants=(tf.TensorShape([]), shape),
            parallel_iterations=1,
        )
        if not self.rows.held:
            return [self._flat(attended)]
        held = tf.cond(self.rows.few, lambda: drawn, lambda: [tf.zeros([0] * 4, part.dtype) for part in drawn])
        return [self._flat(attended), *held]

    def backward(self, packed: tf.Tensor, attended: tf.Tensor, upstream: tf.Tensor, held: Sequence[Any]) -> tf.Tensor:
        """Gradient of queries, keys and values, `[tokens, 3 * dim]`."""
        query, key, value = self._split(packed)
        towards = self._heads(upstream)  # [block, heads, width, head]
        towards = tf.where(self.real[:, tf.newaxis, :, tf.newaxis], towards, 0.0)
        # What softmax's gradient subtracts: the inner product of gradient and output, per query.
        inner = self._inner(upstream, attended)  # [block, heads, width, 1]
        ones = tf.ones_like(value[..., :1])

        def one_piece(start: tf.Tensor, drawn: Sequence[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            part = slice(start, start + self.piece)
            weights, *kept = drawn
            if kept:
                left = tf.cast(kept[0], tf.float32)
                d_weights = tf.matmul(towards[:, :, part], value * self._gain, transpose_b=True)
                d_weights = d_weights * left - inner[:, :, part]
                d_value = tf.matmul(weights * left, towards[:, :, part] * self._gain, transpose_a=True)
            else:  # the subtraction is one more column of the product
                wide = tf.concat([towards[:, :, part], -inner[:, :, part]], axis=3)
                d_weights = tf.matmul(wide, tf.concat([value, ones], axis=3), transpose_b=True)
                d_value = tf.matmul(weights, towards[:, :, part], transpose_a=True)
            d_scores = weights * d_weights
            d_key = tf.matmul(d_scores, query[:, :, part], transpose_a=True)
            return tf.matmul(d_scores, key) * self._scale(value), d_key, d_value

        def step(
            start: tf.Tensor, d_query: tf.Tensor, d_key: tf.Tensor, d_value: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            queries, keys, values = one_piece(start, self._weights(query, key, start))
            return start + self.piece, tf.concat([d_query, queries], axis=2), d_key + keys, d_value + values

        zero = tf.constant(0)
        if held:
            drawn = tf.cond(
                self.rows.few,
                lambda: [array.read(self.number) for array in held],
                lambda: self._weights(query, key, zero),
            )
        else:
            drawn = self._weights(query, key, zero)
        first, shape = one_piece(zero, drawn), value.shape
        state = tf.while_loop(
            lambda start, *_: start < self.width,
            step,
            (self.piece, *first),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, shape[1], None, shape[3]]), shape, shape),
            parallel_iterations=1,
        )
        together = tf.transpose(tf.stack(state[1:]), [1, 3, 0, 2, 4])  # [block, width, 3, heads, head]
        return tf.gather(tf.reshape(together, [-1, packed.shape[1]]), self.flat_index)

    def _weights(self, query: tf.Tensor, key: tf.Tensor, start: tf.Tensor) -> list[tf.Tensor]:
        """Attention weights of a piece of the queries `[block, heads, piece, width]`; with drop-out, which are kept."""
        part = query[:, :, start : start + self.piece]
        # The mask of padded keys is one more column of the product: no pass over the scores is needed.
        blocked = tf.where(self.real, 0.0, _BLOCKED)[:, tf.newaxis, :, tf.newaxis]  # [block, 1, width, 1]
        blocked = tf.broadcast_to(blocked, tf.shape(key[..., :1]))
        part = tf.concat([part, tf.ones_like(part[..., :1])], axis=3)
        scores = tf.matmul(part, tf.concat([key, blocked], axis=3), transpose_b=True)
        if self.rows.causal:
            queries = tf.range(start, start + tf.shape(part)[2])
            scores = tf.where(tf.range(self.width) <= queries[:, tf.newaxis], scores, _BLOCKED)
        weights = tf.nn.softmax(scores)
        return [weights, self._kept(start)] if self.rows.rate else [weights]

    @property
    def _gain(self) -> float:
        """What kept weights are multiplied by."""
        return 1.0 / (1.0 - float(self.rows.rate))

    def _kept(self, start: tf.Tensor) -> tf.Tensor:
        """Which attention weights are not dropped, bool `[block, heads, piece, width]`."""
        rate, heads = self.rows.rate, self.rows.heads
        seed = tf.stack([self.rows.seed[0], self.rows.seed[1] ^ (self.row * 40_503 + start)])
        queries = tf.minimum(self.piece, self.width - start)
        size = self.row_end - self.row
        total = size * heads * (queries + self.width)
        drawn = random_shorts(total, seed)
        of_query = tf.reshape(drawn[: size * heads * queries], [size, heads, queries, 1])
        of_key = tf.reshape(drawn[size * heads * queries :], [size, heads, 1, self.width])
        return keep_mask(of_query, of_key, rate)

    def _split(self, packed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scaled queries, keys and values, each `[block, heads, width, head]`."""
        heads = self.rows.heads
        width = packed.shape[1] // (3 * heads)
        padded = tf.gather(packed[self.first : self.first + self.tokens], self.padded_index)  # [block, width, 3 dim]
        parts = tf.reshape(padded, [-1, self.width, 3, heads, width])
        query, key, value = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]), num=3)
        return query * self._scale(value), key, value

    def _heads(self, flat: tf.Tensor) -> tf.Tensor:
        """Tokens of the block, from `[tokens of all, dim]`: `[block, heads, width, head]`."""
        heads = self.rows.heads
        padded = tf.gather(flat[self.first : self.first + self.tokens], self.padded_index)
        return tf.transpose(tf.reshape(padded, [-1, self.width, heads, flat.shape[1] // heads]), [0, 2, 1, 3])

    def _inner(self, upstream: tf.Tensor, attended: tf.Tensor) -> tf.Tensor:
        """Inner products of gradients and outputs per query and head, 0 at padding: `[block, heads, width, 1]`."""
        part = slice(self.first, self.first + self.tokens)
        products = tf.reshape(
            upstream[part] * attended[part], [-1, self.rows.heads, upstream.shape[1] // self.rows.heads]
        )
        padded = tf.gather(tf.reduce_sum(products, axis=2), self.padded_index)  # [block, width, heads]
        return tf.transpose(tf.where(self.real[..., tf.newaxis], padded, 0.0), [0, 2, 1])[..., tf.newaxis]

    def _flat(self, parts: tf.Tensor) -> tf.Tensor:
        """`[block, heads, width, head]` to `[tokens of the block, dim]`."""
        dim = parts.shape[1] * parts.shape[3]
        joined = tf.reshape(tf.transpose(parts, [0, 2, 1, 3]), [-1, dim])
        return tf.gather(joined, self.flat_index)

    @staticmethod
    def _scale(value: tf.Tensor) -> float:
        return float(value.shape[3]) ** -0.5
