"""The best candidates of targets with their scores and histories: what re-ranking begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.evaluation.scored_batches import item_factors, reject_unfit, scored_batches
from tfrec.evaluation.scorer import Batch, Scorer
from tfrec.evaluation.target_counts import first_occurrences
from tfrec.evaluation.top_columns import column_blocks, top_columns

_CHUNK_ROWS = 256
_CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class CandidateLists:
    """The best candidates of some targets.

    Attributes:
        items: Item indices, best first, -1 where there are no more candidates, int32 `[lists, candidates]`.
        scores: Their scores, float64 `[lists, candidates]`; 0 at -1.
        target: Item index of the target, int32 `[lists]`.
        owner: Raw id of the user, or number of the sequence where there are no users, `[lists]`.
        history: Items before the target, padded with 0, int32 `[lists, any]`.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float64]
    target: NDArray[np.int32]
    owner: NDArray[Any]
    history: NDArray[np.int32]


def candidate_lists(
    scorer: Scorer,
    batches: Iterable[Batch],
    candidates: int,
    *,
    exclude_history: bool = False,
    chosen: NDArray[np.bool_] | None = None,
) -> Iterator[CandidateLists]:
    """Yields the best candidates of targets, some hundred lists at a time.

    Padding and out of vocabulary are no candidates, nor is what the scorer rates minus infinity. Equal scores go by
    item index.

    Args:
        scorer: What scores the items.
        batches: Batches of `sequence_dataset`.
        candidates: How many, at most as many as there are items.
        exclude_history: Items seen earlier in the sequence are no candidates, but for the target.
        chosen: Which targets, in the order in which the batches hold them, bool `[targets]`. Default: all.

    Raises:
        TfrecError: A score is not a number or plus infinity, or no batch has a target.
    """
    factors = item_factors(scorer)
    number = 0  # of targets in earlier batches
    sequences = 0
    for scored in scored_batches(scorer, batches, factors, _CHUNK_BYTES):
        row, last = scored.query.numpy().T  # [targets] each
        wanted = np.arange(len(row)) if chosen is None else np.flatnonzero(chosen[number : number + len(row)])
        items = tf.cast(scored.batch["item"], tf.int32)  # [batch, seq]
        once = first_occurrences(items) if exclude_history else None  # [batch, seq]
        owners = np.asarray(scored.batch["user_id"]) if "user_id" in scored.batch else None
        for start in range(0, len(wanted), _CHUNK_ROWS):
            part = wanted[start : start + _CHUNK_ROWS]
            rows = tf.gather(scored.represented, part)  # [chunk, dim or vocab]
            scores = rows if factors is None else _products(rows, *factors)  # [chunk, vocab]
            unfit = tf.logical_not(tf.reduce_all(scores < float("inf"), axis=1))  # NaN is below nothing
            reject_unfit(int(tf.reduce_sum(tf.cast(unfit, tf.int32))), number + int(part[0]))
            target = tf.gather(scored.target, part)  # [chunk]
            known = np.arange(items.shape[1]) <= last[part][:, np.newaxis]  # [chunk, seq]
            seen = tf.zeros([len(part), 0], tf.int32)
            if once is not None:
                seen = tf.where(known, tf.gather(once, row[part]), 0)
                seen = tf.where(tf.equal(seen, target[:, tf.newaxis]), 0, seen)
            found, values = _top(scores, seen, candidates)
            yield CandidateLists(
                items=found.numpy(),
                scores=values.numpy().astype(np.float64),
                target=target.numpy(),
                owner=row[part] + sequences if owners is None else owners[row[part]],
                history=np.where(known, items.numpy()[row[part]], 0),
            )
        number += len(row)
        sequences += int(items.shape[0])


def _products(rows: tf.Tensor, table: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    scores = tf.matmul(rows, table, transpose_b=True)  # [chunk, vocab]
    return scores if bias is None else scores + bias


@tf.function(reduce_retracing=True)
def _top(scores: tf.Tensor, seen: tf.Tensor, candidates: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Items and scores of the best, without padding, out of vocabulary and what was seen (0: nothing)."""
    zero = tf.zeros_like(scores[:, :1], tf.int32)
    outside = tf.concat([zero, zero + 1, seen], axis=1)  # [chunk, any]
    width = tf.shape(outside)[1]
    place = tf.stack([tf.repeat(tf.range(tf.shape(scores)[0]), width), tf.reshape(outside, [-1])], axis=1)
    lowest = tf.fill([tf.shape(place)[0]], tf.constant(-float("inf"), scores.dtype))
    competing = tf.tensor_scatter_nd_update(scores, place, lowest)  # [chunk, vocab]
    items = top_columns(column_blocks(competing), candidates)  # [chunk, candidates]
    values = tf.gather(competing, tf.maximum(items, 0), batch_dims=1)
    return items, tf.where(items < 0, tf.zeros_like(values), values)
