"""From what a model says of a batch to the best items, with exclusions, allow-lists and a fallback."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.index_config import IndexConfig
from tfrec.serving.candidate_rows import CandidateRows
from tfrec.serving.index.build import build_index
from tfrec.serving.index.rank_scores import rank_scores
from tfrec.serving.popular_index import PopularIndex
from tfrec.serving.untracked import Untracked


class Ranker(tf.Module):
    """Ranks candidates, by popularity where the model knows nothing of a history.

    Args:
        rows: The candidates.
        popularity: Score of every item index in rows without a known history, float32 `[vocab]`.
    """

    def __init__(self, rows: CandidateRows, popularity: NDArray[np.float32]) -> None:
        super().__init__(name="ranker")
        self.rows = rows
        self._popular = PopularIndex(rows.select(popularity), name="popular")
        # All signatures call one graph. As an attribute that TensorFlow sees it would be traced again to be saved.
        lists = tf.TensorSpec([None, None], tf.int32)
        self._shared = Untracked(
            tf.function(
                self._ranked,
                input_signature=[
                    tf.TensorSpec([None, None], tf.float32),
                    tf.TensorSpec([None], tf.bool),
                    tf.TensorSpec([], tf.int32),
                    lists,
                    lists,
                ],
                autograph=False,
            )
        )

    def __call__(
        self,
        query: tf.Tensor,
        cold: tf.Tensor,
        k: tf.Tensor | int,
        *,
        excluded: tf.Tensor,
        allowed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Ranks.

        Args:
            query: What the model says, see the subclasses, `[batch, ...]`.
            cold: Rows that are ranked by popularity, bool `[batch]`.
            k: Number of results.
            excluded: Item indices, int32 `[batch, e]`; 0 and 1 pad.
            allowed: Item indices of which alone results are taken, int32 `[batch, a]`; 0 and 1 are no items, so that
                a list of them allows nothing; a = 0 means no list. Default: no list.

        Returns:
            Scores, float32 `[batch, min(k, candidates)]`, and item indices, int32 of the same shape; -inf and 0 where
            there are too few.
        """
        if allowed is None:
            allowed = tf.zeros([tf.shape(cold)[0], 0], tf.int32)
        scores, indices = self._shared.value(query, cold, tf.convert_to_tensor(k, tf.int32), excluded, allowed)
        return scores, indices

    def _ranked(
        self, query: tf.Tensor, cold: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor, allowed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        excluded, allowed = self.rows.to_rows(excluded), self.rows.to_rows(allowed)
        listed = tf.fill(tf.shape(cold), tf.shape(allowed)[1] > 0)
        scores, found = self._rank(query, k, excluded, allowed, listed)

        def with_popular() -> tuple[tf.Tensor, tf.Tensor]:
            place = tf.where(cold)  # [cold, 1]
            own = [tf.boolean_mask(lists, cold) for lists in (excluded, allowed, listed)]
            popular, rows = self._popular.search(
                tf.ones([tf.shape(place)[0], 1]), k, excluded=own[0], allowed=own[1], has_allowed=own[2]
            )
            return (
                tf.tensor_scatter_nd_update(scores, place, popular),
                tf.tensor_scatter_nd_update(found, place, rows),
            )

        scores, found = tf.cond(tf.reduce_any(cold), with_popular, lambda: (scores, found))
        return scores, self.rows.to_indices(found)

    @abstractmethod
    def _rank(
        self,
        query: tf.Tensor,
        k: tf.Tensor | int,
        excluded: tf.Tensor,
        allowed: tf.Tensor,
        listed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns scores and rows `[batch, min(k, candidates)]`."""


class VectorRanker(Ranker):
    """Searches an index of item vectors; the query is a state, float32 `[batch, dim]`.

    Args:
        rows: The candidates.
        popularity: See `Ranker`.
        vectors: Item vectors, float32 `[vocab, dim]`.
        bias: Item biases, float32 `[vocab]`.
        settings: Kind and settings of the index.
    """

    def __init__(
        self,
        rows: CandidateRows,
        popularity: NDArray[np.float32],
        vectors: NDArray[np.float32],
        bias: NDArray[np.float32],
        settings: IndexConfig,
    ) -> None:
        super().__init__(rows, popularity)
        own_bias = rows.select(bias) if np.any(bias) else None
        self.index = build_index(settings.kind, rows.select(vectors), own_bias, settings)

    def _rank(
        self,
        query: tf.Tensor,
        k: tf.Tensor | int,
        excluded: tf.Tensor,
        allowed: tf.Tensor,
        listed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.index.search(query, k, excluded=excluded, allowed=allowed, has_allowed=listed)


class ScoreRanker(Ranker):
    """Ranks the scores of all items; the query is these scores, float32 `[batch, vocab]`."""

    def _rank(
        self,
        query: tf.Tensor,
        k: tf.Tensor | int,
        excluded: tf.Tensor,
        allowed: tf.Tensor,
        listed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return rank_scores(self.rows.columns(query), k, excluded, allowed, listed)
