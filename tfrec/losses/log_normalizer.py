"""Logarithm of the sum of exponentials of all scores, with few passes over them."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec.layers.in_place import add_to_rows, fill_in_columns
from tfrec.losses.weighting import MASKED_LOGIT

CHUNK_BYTES = 64 << 20
"""Bytes of `[targets, items]` scores that are held at once."""

_PIECES = 2
"""Tensors that these bytes are cut into: they can be worked on side by side, and allocators recycle smaller ones."""

_SAFE_EXPONENT = 60.0
"""Scores up to this size can be exponentiated as they are: float32 holds e^60 times any number of items, and e^-60."""

_SMALLEST = 1e-30
"""Stands for an empty sum, whose logarithm and reciprocal must be finite; any other sum is larger."""


def log_normalizer(
    states: tf.Tensor, vectors: tf.Tensor, bias: tf.Tensor | None, *, excluded: tf.Tensor | None = None
) -> tf.Tensor:
    """`log sum_j exp(state . vector_j + bias_j)` per state, with three products and one pass over the scores.

    Bias and a column of ones ride along in the products, where they cost nothing: the first adds the bias (and, when
    scores are computed again, subtracts the normaliser), the second also sums the exponentials. Softmax is never
    formed; the narrow factors of the products are divided instead. The exponentials of the first `CHUNK_BYTES` of
    scores are kept for the gradient, those of further targets are computed again.

    Args:
        states: float `[targets, dim]`; products and sums are taken in float32.
        vectors: float `[items, dim]`.
        bias: float `[items]` or None.
        excluded: Rows of `vectors` that each target leaves out of its sum, int32 `[targets, any]`; may repeat, and the
            number of items stands for none.

    Returns:
        float32 `[targets]`; -69 or less where every item is excluded, with a gradient of 0.
    """
    states, vectors, bias, bound = _prepared(states, vectors, bias)
    if excluded is not None:  # one more item, without weight, may be left out of every sum
        vectors = tf.pad(vectors, [[0, 1], [0, 0]])  # [items + 1, dim]
        bias = tf.zeros([tf.shape(vectors)[0] - 1]) if bias is None else bias
        bias = tf.pad(bias, [[0, 1]], constant_values=MASKED_LOGIT)  # [items + 1]
    return _log_normalizer(*_with_bias(states, vectors, bias), bound, excluded)[0]


def scores_against_all(
    states: tf.Tensor, vectors: tf.Tensor, bias: tf.Tensor | None, targets: tf.Tensor, *, reserved: int = 0
) -> tuple[tf.Tensor, tf.Tensor]:
    """`log_normalizer` and the score of one row of `vectors` per state, whose gradients share one matrix.

    Args:
        states: float `[targets, dim]`.
        vectors: float `[items, dim]`.
        bias: float `[items]` or None.
        targets: Row of each target, int `[targets]`.
        reserved: So many leading rows are no items: they are in no sum and get no gradient.

    Returns:
        float32 `[targets]` both.
    """
    states, vectors, bias, bound = _prepared(states, vectors, bias)
    excluded = None
    if reserved:
        excluded = tf.tile(tf.range(reserved)[tf.newaxis], [tf.shape(states)[0], 1])  # [targets, reserved]
    found = _log_normalizer(*_with_bias(states, vectors, bias), bound, excluded, tf.cast(targets, tf.int32))
    return found[0], found[1]


def _prepared(
    states: tf.Tensor, vectors: tf.Tensor, bias: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor]:
    """All in float32, and the bound of all scores, scalar."""
    states, vectors = tf.cast(states, tf.float32), tf.cast(vectors, tf.float32)
    bound = _longest(states) * _longest(vectors)
    if bias is not None:
        bias = tf.cast(bias, tf.float32)
        bound += tf.reduce_max(tf.abs(bias))
    return states, vectors, bias, bound


def _with_bias(states: tf.Tensor, vectors: tf.Tensor, bias: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """States `[targets, width]` and vectors `[items, width]` whose products hold the bias."""
    if bias is None:
        return states, vectors
    states = tf.concat([states, tf.ones([tf.shape(states)[0], 1])], axis=1)  # [targets, dim + 1]
    return states, tf.concat([vectors, bias[:, tf.newaxis]], axis=1)


def _longest(vectors: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.math.reduce_euclidean_norm(tf.stop_gradient(vectors), axis=1))


def _log_normalizer(
    states: tf.Tensor,
    vectors: tf.Tensor,
    bound: tf.Tensor,
    excluded: tf.Tensor | None,
    targets: tf.Tensor | None = None,
) -> list[tf.Tensor]:
    """`log_normalizer` of float32 states and vectors that hold the bias, and the scores of targets where there are any.

    No score is above `bound`.
    """

    @tf.custom_gradient
    def compute(
        states: tf.Tensor, vectors: tf.Tensor
    ) -> tuple[list[tf.Tensor], Callable[..., tuple[tf.Tensor, tf.Tensor]]]:
        count, items = tf.shape(states)[0], tf.shape(vectors)[0]
        width = vectors.shape[1]
        extended = tf.concat([vectors, tf.ones([items, 1])], axis=1)  # [items, width + 1]
        padded = tf.pad(states, [[0, 0], [0, 1]])  # [targets, width + 1]
        rows = tf.maximum(CHUNK_BYTES // (4 * _PIECES * tf.maximum(items, 1)), 1)
        rows = tf.minimum(rows, (count + _PIECES - 1) // _PIECES)  # of a piece

        def exponentials(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            """Returns exp(scores - shift) `[rows, items]`, the shift `[rows, 1]`, and the sums weighted by `extended`.

            The last of the sums is that of the exponentials themselves. The highest score is sought and subtracted
            only where the bound does not rule out an overflow.
            """
            scores = tf.matmul(padded[start : start + rows], extended, transpose_b=True)  # [rows, items]
            values, shift = tf.cond(
                bound <= _SAFE_EXPONENT,
                lambda: (tf.exp(scores), tf.zeros([tf.shape(scores)[0], 1])),
                lambda: _shifted_exponentials(without_excluded(scores, start, MASKED_LOGIT)),
            )
            values = without_excluded(values, start, 0.0)
            return values, shift, tf.matmul(values, extended)

        def without_excluded(matrix: tf.Tensor, start: tf.Tensor, value: float) -> tf.Tensor:
            return matrix if excluded is None else fill_in_columns(matrix, excluded[start : start + rows], value)

        kept, shifts, sums = zip(*(exponentials(piece * rows) for piece in range(_PIECES)), strict=True)

        def forward(start: tf.Tensor, shift: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            _, more_shift, more_sums = exponentials(start)
            return start + rows, tf.concat([shift, more_shift], axis=0), tf.concat([sums, more_sums], axis=0)

        _, shift, sums = tf.while_loop(
            lambda start, *_: start < count,
            forward,
            (_PIECES * rows, tf.concat(shifts, axis=0), tf.concat(sums, axis=0)),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 1]), tf.TensorShape([None, width + 1])),
        )
        total = tf.maximum(sums[:, width:], _SMALLEST)  # [targets, 1]
        result = tf.math.log(total) + shift  # [targets, 1]
        found = [result[:, 0]]
        if targets is not None:
            own = tf.gather(vectors, targets)  # [targets, width]
            found.append(tf.reduce_sum(states * own, axis=1))

        def gradient(upstream: tf.Tensor, *by_own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            upstream = upstream[:, tf.newaxis]  # [targets, 1]
            by_exponentials = states * (upstream / total)  # [targets, width]
            by_vectors = tf.add_n(
                [
                    tf.matmul(values, by_exponentials[piece * rows : (piece + 1) * rows], transpose_a=True)
                    for piece, values in enumerate(kept)
                ]
            )  # [items, width]
            normalized = tf.concat([states, -result], axis=1)  # [targets, width + 1]: its products are log softmax
            by_softmax = states * upstream  # [targets, width]

            def backward(start: tf.Tensor, by_vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                softmax = tf.exp(tf.matmul(normalized[start : start + rows], extended, transpose_b=True))
                softmax = without_excluded(softmax, start, 0.0)  # [rows, items]
                return start + rows, by_vectors + tf.matmul(softmax, by_softmax[start : start + rows], transpose_a=True)

            _, by_vectors = tf.while_loop(lambda start, _: start < count, backward, (_PIECES * rows, by_vectors))
            by_states = sums[:, :width] * (upstream / total)  # [targets, width]
            for towards in by_own:
                by_states += own * towards[:, tf.newaxis]
                by_vectors = add_to_rows(by_vectors, targets, states * towards[:, tf.newaxis])
            return by_states, by_vectors

        return found, gradient

    found: list[tf.Tensor] = compute(states, vectors)
    return found


def _shifted_exponentials(scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    highest = tf.reduce_max(scores, axis=1, keepdims=True)  # [rows, 1]
    return tf.exp(scores - highest), highest
