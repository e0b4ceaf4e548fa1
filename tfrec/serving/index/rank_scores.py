"""Ranking of scores that a model gives for every item at once."""

from __future__ import annotations

import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.index.block_top_k import block_top_k
from tfrec.serving.index.candidate_lists import (
    MISSING_SCORE,
    best_allowed,
    distinct_items,
    num_excluded,
    rows_with_list,
)


def rank_scores(
    scores: tf.Tensor,
    k: tf.Tensor | int,
    excluded: tf.Tensor | None = None,
    allowed: tf.Tensor | None = None,
    has_allowed: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the best items by given scores; for models whose scores are no inner products.

    Args:
        scores: float32 `[batch, n]`, column i for item index i; -inf: cannot be returned. Columns 0 and 1 are ignored.
        k: How many, a number or an int32 scalar.
        excluded: As for `VectorIndex.search`, int32 `[batch, e]`.
        allowed: As for `VectorIndex.search`, int32 `[batch, a]`.
        has_allowed: As for `VectorIndex.search`, bool `[batch]`.

    Returns:
        Scores, float32 `[batch, min(k, n - 2)]`, descending, and item indices, int32 of the same shape; of equal
        scores the smaller index comes first. Where there are fewer candidates, score -inf and index 0.
    """
    num_items = tf.shape(scores)[1] - FIRST_INDEX
    k = tf.clip_by_value(tf.convert_to_tensor(k, tf.int32), 0, num_items)

    def among_all() -> tuple[tf.Tensor, tf.Tensor]:
        found = block_top_k(scores[:, FIRST_INDEX:], tf.minimum(k + num_excluded(excluded), num_items))
        return best_allowed(found[0], found[1] + FIRST_INDEX, excluded, k)

    if allowed is None:
        return among_all()
    listed = rows_with_list(allowed, has_allowed) & (tf.shape(allowed)[1] > 0)  # [batch]

    def among_listed() -> tuple[tf.Tensor, tf.Tensor]:
        indices, named = distinct_items(allowed, num_items + FIRST_INDEX)
        own = tf.where(named, tf.gather(scores, indices, batch_dims=1), MISSING_SCORE)  # [batch, a]
        return best_allowed(own, indices, excluded, k)

    def mixed() -> tuple[tf.Tensor, tf.Tensor]:
        pairs = zip(among_listed(), among_all(), strict=True)
        own_scores, own_indices = (tf.where(listed[:, tf.newaxis], own, other) for own, other in pairs)
        return own_scores, own_indices

    return tf.cond(tf.reduce_any(listed), mixed, among_all)
