"""Items that occur in the same training sequences as the items of the history."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from tfrec.config.strict_model import StrictModel
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.data.targets import target_positions
from tfrec.models.counting_recommender import CountingRecommender, CountTables
from tfrec.models.neighbour_table import add_neighbours, neighbour_arrays, strongest_neighbours
from tfrec.models.sequence_recommender import Batch
from tfrec.registry import register_model

# Entries of the item-to-item product that are held at a time, before each row is cut to its neighbours.
_BLOCK_ENTRIES = 20_000_000
# Neighbours that are gathered at a time when scoring.
_STEP_ENTRIES = 4_000_000


class ItemKNNConfig(StrictModel):
    """Settings of item-to-item nearest neighbours."""

    similarity: Literal["cosine", "tfidf"] = Field(
        "tfidf", description="cosine: every sequence counts the same; tfidf: long sequences say less about their items."
    )
    num_neighbours: int = Field(200, ge=1, description="Neighbours kept per item, the most similar.")
    shrinkage: float = Field(0.0, ge=0, description="Added to squared norms: lowers similarities from few sequences.")
    popularity_balance: float = Field(
        0.5, ge=0, le=1, description="Exponent of the scored item's squared norm; the history item's gets the rest."
    )
    recency_decay: float = Field(
        0.8, gt=0, le=1, description="Weight of a history item = recency_decay ^ (events ago)."
    )
    last_item_only: bool = Field(False, description="Use the neighbours of the last item alone.")


@register_model("item_knn")
class ItemKNN(CountingRecommender):
    """Scores an item by its similarity to the items of the history, recent ones weighing more.

    With x_i the vector of item i over the training sequences (1, or log(items / (1 + distinct items of the sequence))
    under tf-idf, where i occurs), similarity(i -> j) = x_i . x_j / ((|x_i|^2 + s)^(1-b) (|x_j|^2 + s)^b), s = shrinkage
    and b = popularity_balance; b = 0.5 and s = 0 is the cosine. An item is not its own neighbour.

    Example:
        Sequences {2, 3}, {2, 3}, {2, 4} under cosine: similarity(2, 3) = 2 / sqrt(3 * 2).

    Reference: Sarwar et al., "Item-based collaborative filtering", WWW 2001; the item-kNN baseline of GRU4Rec is
    similarity=cosine, num_neighbours=100, shrinkage=20, last_item_only=true.
    """

    config_class = ItemKNNConfig
    config: ItemKNNConfig
    table_dtypes: ClassVar[dict[str, str]] = {"offsets": "int64", "neighbours": "int32", "weights": "float32"}

    def count(self, sequences: SequenceArrays) -> CountTables:
        occurrences = self._occurrences(sequences)  # [sequences, vocab]
        by_item = occurrences.T.tocsr()  # [vocab, sequences]
        norms = np.asarray(by_item.multiply(by_item).sum(axis=1)).ravel() + self.config.shrinkage
        norms[norms <= 0] = 1.0
        of_scored = sparse.diags(norms**-self.config.popularity_balance)
        of_history = norms ** (self.config.popularity_balance - 1.0)
        # Row i of the product has at most the total length of the sequences that hold i.
        work = np.asarray((by_item != 0) @ np.diff(occurrences.indptr)).ravel()
        right = (occurrences @ of_scored).tocsr()
        blocks = []
        for start, stop in _blocks(work):
            similar = sparse.diags(of_history[start:stop]) @ (by_item[start:stop] @ right)  # [block, vocab]
            similar = similar.tocoo()
            other = (similar.row + start != similar.col) & (similar.data > 0)
            kept = sparse.csr_matrix((similar.data[other], (similar.row[other], similar.col[other])), similar.shape)
            blocks.append(strongest_neighbours(kept, self.config.num_neighbours))
        return neighbour_arrays(sparse.vstack(blocks, format="csr"))

    def score_targets(self, batch: Batch) -> tf.Tensor:
        query, target = target_positions(batch)  # [targets, 2], [targets]
        offsets, neighbours, weights = self.table("offsets"), self.table("neighbours"), self.table("weights")
        num_targets = tf.size(target)
        scores = tf.zeros([num_targets, self.vocab_size])  # [targets, vocab]
        events = 1 if self.config.last_item_only else tf.reduce_max(tf.concat([[0], query[:, 1] + 1], axis=0))
        # As many events per step as keep the number of neighbours bounded; all targets advance together.
        stride = tf.maximum(1, _STEP_ENTRIES // (self.config.num_neighbours * tf.maximum(1, num_targets)))

        def add_events(age: tf.Tensor, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            ages = tf.range(age, tf.minimum(age + stride, events))  # [ages]
            position = query[:, 1:] - ages  # [targets, ages]
            place = tf.cast(tf.where(position >= 0), tf.int32)  # [queries, 2]
            rows = place[:, 0]  # [queries]
            index = tf.stack([tf.gather(query[:, 0], rows), tf.gather_nd(position, place)], axis=1)  # [queries, 2]
            factors = self.config.recency_decay ** tf.cast(tf.gather(ages, place[:, 1]), tf.float32)  # [queries]
            items = tf.gather_nd(batch["item"], index)  # [queries]
            return age + stride, add_neighbours(scores, rows, items, factors, offsets, neighbours, weights)

        shapes = (tf.TensorShape([]), tf.TensorShape([None, self.vocab_size]))
        _, scores = tf.while_loop(lambda age, _: age < events, add_events, (tf.constant(0), scores), shapes)
        return scores  # [targets, vocab]

    def _occurrences(self, sequences: SequenceArrays) -> sparse.csr_matrix:
        rows = np.repeat(np.arange(len(sequences)), sequences.lengths)
        known = sequences.items >= 2
        shape = (len(sequences), self.vocab_size)
        ones = np.ones(int(known.sum()))
        matrix = sparse.csr_matrix((ones, (rows[known], sequences.items[known])), shape=shape)
        matrix.data[:] = 1.0  # an item that occurs twice in a sequence counts once
        if self.config.similarity == "tfidf":
            lengths = np.diff(matrix.indptr)
            rarity = np.maximum(np.log((self.vocab_size - 2) / (1.0 + lengths)), 0.0)
            matrix.data *= np.repeat(rarity, lengths)
        return matrix


def _blocks(work: NDArray[Any]) -> list[tuple[int, int]]:
    """Cuts rows into contiguous blocks of at most `_BLOCK_ENTRIES` work (at least one row each)."""
    block = (np.cumsum(work.astype(np.int64)) - 1) // _BLOCK_ENTRIES
    edges = np.flatnonzero(np.diff(block)) + 1
    bounds = [0, *edges.tolist(), work.size]
    return list(itertools.pairwise(bounds))
