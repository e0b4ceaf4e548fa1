"""What all indices have in common: exclusions, allow-lists, and how a result looks."""

from __future__ import annotations

from abc import abstractmethod

import tensorflow as tf

from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.serving.index.candidate_lists import (
    MISSING_SCORE,
    best_allowed,
    distinct_items,
    num_excluded,
    rows_with_list,
)
from tfrec.serving.index.query_groups import in_groups

_LISTED_VALUES = 1 << 24  # numbers of listed vectors that are held at a time: 64 MiB


class VectorIndex(tf.Module):
    """Finds the items whose vectors have the largest inner products with a query, plus the bias of the item.

    Made of operations that every TensorFlow has, it can be saved with `tf.saved_model.save` and served by stock TF
    Serving; it works with an unknown batch size.

    Attributes:
        num_items: Items that can be returned.
        dim: Width of the vectors.
    """

    num_items: int
    dim: int

    def search(
        self,
        queries: tf.Tensor,
        k: tf.Tensor | int,
        *,
        excluded: tf.Tensor | None = None,
        allowed: tf.Tensor | None = None,
        has_allowed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best items for each query.

        Args:
            queries: float32 `[batch, dim]`.
            k: How many, a number or an int32 scalar.
            excluded: Item indices that must not be returned, int32 `[batch, e]`; 0 and 1 pad the list, repetitions
                are allowed. Default: none.
            allowed: Item indices of which alone results are taken, int32 `[batch, a]`; what names no item is ignored.
                Default: no lists, as with a = 0.
            has_allowed: Whether the row of `allowed` is a list, bool `[batch]`; if so, and it names no item, there
                are no results. Default: rows that name an item are lists.

        Returns:
            Scores, float32 `[batch, min(k, num_items)]`, descending, and item indices, int32 of the same shape; of
            equal scores the smaller index comes first. Where there are fewer candidates, score -inf and index 0.
        """
        k = tf.clip_by_value(tf.convert_to_tensor(k, tf.int32), 0, self.num_items)
        if allowed is None:
            return self._search_all(queries, k, excluded)
        if excluded is None:
            excluded = tf.zeros([tf.shape(queries)[0], 0], tf.int32)
        listed = rows_with_list(allowed, has_allowed) & (tf.shape(allowed)[1] > 0)  # [batch]
        free = tf.where(~listed)[:, 0]

        def mixed() -> tuple[tf.Tensor, tf.Tensor]:
            scores, indices = self._search_lists(queries, k, excluded, allowed)
            return tf.cond(tf.reduce_all(listed), lambda: (scores, indices), lambda: with_free(scores, indices))

        def with_free(scores: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            found = self._search_all(tf.gather(queries, free), k, tf.gather(excluded, free))
            places = tf.tensor_scatter_nd_update(
                tf.range(tf.size(listed)), free[:, tf.newaxis], tf.size(listed) + tf.range(tf.size(free))
            )
            return (
                tf.gather(tf.concat([scores, found[0]], axis=0), places),
                tf.gather(tf.concat([indices, found[1]], axis=0), places),
            )

        return tf.cond(tf.reduce_any(listed), mixed, lambda: self._search_all(queries, k, excluded))

    @abstractmethod
    def vectors_of(self, indices: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of items, float32 `[..., dim]`, for item indices, int32 `[...]`."""

    @abstractmethod
    def bias_of(self, indices: tf.Tensor) -> tf.Tensor:
        """Returns the biases of items, float32 `[...]`, for item indices, int32 `[...]`; 0 without a bias."""

    @abstractmethod
    def _nearest(self, queries: tf.Tensor, k: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns scores and item indices, `[batch, k]` or fewer, in the order of `search`; -inf: no item."""

    def _search_all(self, queries: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        # Of the k + e best items at most e are excluded, so the k best of the others are among them.
        wanted = tf.minimum(k + num_excluded(excluded), self.num_items)
        scores, indices = self._nearest(queries, wanted)
        return best_allowed(scores, indices, excluded, k)

    def _search_lists(
        self, queries: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor, allowed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def work(queries: tf.Tensor, excluded: tf.Tensor, allowed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            indices, named = distinct_items(allowed, self.num_items + FIRST_INDEX)
            scores = tf.linalg.matvec(self.vectors_of(indices), queries) + self.bias_of(indices)  # [rows, a]
            return best_allowed(tf.where(named, scores, MISSING_SCORE), indices, excluded, k)

        group = tf.maximum(1, _LISTED_VALUES // tf.maximum(1, tf.shape(allowed)[1] * self.dim))
        return in_groups(work, [queries, excluded, allowed], group)
