"""Lists of items that must not, or alone may, be recommended."""

from __future__ import annotations

import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX, PADDING_INDEX

MISSING_SCORE = -float("inf")


def num_excluded(excluded: tf.Tensor | None) -> tf.Tensor:
    """Returns how many entries of a row name an item, at most: int32 scalar.

    Args:
        excluded: Item indices, int32 `[batch, e]`, or None.
    """
    if excluded is None:
        return tf.constant(0)
    named = tf.reduce_sum(tf.cast(excluded >= FIRST_INDEX, tf.int32), axis=1)
    return tf.reduce_max(tf.pad(named, [[0, 1]]))  # the padding makes an empty batch 0


def best_allowed(
    scores: tf.Tensor, indices: tf.Tensor, excluded: tf.Tensor | None, k: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the k best candidates that are not excluded.

    Args:
        scores: float32 `[batch, c]`, -inf: no candidate.
        indices: Item indices, int32 `[batch, c]`; candidates of equal score in the order in which they shall come.
        excluded: Item indices, int32 `[batch, e]`, in any order; repetitions are allowed. None: nothing.
        k: int32 scalar.

    Returns:
        Scores, float32 `[batch, k]`, descending, and indices, int32 `[batch, k]`. Places without a candidate have
        score -inf and index 0.
    """
    if excluded is not None:
        scores = tf.where(_contains(excluded, indices), MISSING_SCORE, scores)
    missing = tf.maximum(k - tf.shape(scores)[1], 0)
    scores = tf.pad(scores, [[0, 0], [0, missing]], constant_values=MISSING_SCORE)
    indices = tf.pad(indices, [[0, 0], [0, missing]])
    scores, places = tf.math.top_k(scores, k)
    indices = tf.gather(indices, places, batch_dims=1)
    return scores, tf.where(tf.equal(scores, MISSING_SCORE), PADDING_INDEX, indices)


def distinct_items(allowed: tf.Tensor, stop: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the items of lists in the order of their indices.

    Args:
        allowed: Item indices, int32 `[batch, a]`; anything outside `[2, stop)` names no item.
        stop: Number of item indices, the two reserved ones included.

    Returns:
        Item indices, int32 `[batch, a]`, ascending, at places that name none an index that can be looked up; and
        whether the place names an item for the first time, bool `[batch, a]`.
    """
    allowed = tf.sort(allowed, axis=1)
    before = tf.pad(allowed[:, :-1], [[0, 0], [1, 0]], constant_values=-1)[:, : tf.shape(allowed)[1]]
    named = (allowed >= FIRST_INDEX) & (allowed < stop) & (allowed != before)
    return tf.clip_by_value(allowed, FIRST_INDEX, stop - 1), named


def rows_with_list(allowed: tf.Tensor, has_allowed: tf.Tensor | None) -> tf.Tensor:
    """Returns which rows have an allow-list: as told, else those with an entry that names an item. bool `[batch]`."""
    if has_allowed is not None:
        return has_allowed
    return tf.reduce_any(allowed >= FIRST_INDEX, axis=1)


def _contains(lists: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Whether each index is in the list of its row: bool, shape of `indices`."""
    # The one more entry gives a place for indices beyond all others, and an empty list something to compare with.
    ordered = tf.pad(tf.sort(lists, axis=1), [[0, 0], [0, 1]], constant_values=tf.int32.max)
    # Not tf.searchsorted: it flattens its arguments, which fails for lists of no candidates.
    places = tf.raw_ops.LowerBound(sorted_inputs=ordered, values=indices)
    return tf.equal(tf.gather(ordered, places, batch_dims=1), indices)
