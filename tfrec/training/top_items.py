"""The best next items after a history, in raw ids."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.event_history import EventHistory
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.evaluation.compiled_method import compiled_method
from tfrec.models.history_batch import history_batch
from tfrec.models.sequence_recommender import SequenceRecommender


@dataclass(frozen=True)
class RankedItem:
    """One recommendation.

    Attributes:
        item: Raw id.
        index: Item index.
        score: Score of the model; comparable within one list only.
    """

    item: Any
    index: int
    score: float


def top_items(
    model: SequenceRecommender,
    vocabulary: Vocabulary,
    history: EventHistory,
    k: int,
    *,
    include_seen: bool = False,
    with_users: bool = False,
    excluded: Collection[int] = (),
    allowed: Collection[int] | None = None,
) -> list[RankedItem]:
    """Ranks all items after a history; an export of the model answers the same.

    The model reads the latest events, as many as its `history_window`. After a history in which it knows no item, the
    most popular items are recommended, with their share of the training events as score.

    Args:
        model: A trained model.
        vocabulary: Its item vocabulary.
        history: The events so far.
        k: Number of items to return (fewer when the catalogue is smaller).
        include_seen: Also recommend items of the history. Default: false.
        with_users: Whether batches of the dataset have the index of the user. Default: false.
        excluded: Indices of items that are not recommended. Default: none.
        allowed: Indices of the items of which alone some are recommended. Default: all.

    Returns:
        The best items, equal scores by index (the more popular first).
    """
    scores = next_item_scores(model, vocabulary, history, with_users=with_users)
    left_out = [*excluded, *([] if include_seen else history.items.tolist())]
    best = best_indices(scores, k, excluded=left_out, allowed=allowed)
    raw = vocabulary.raw(best)
    return [RankedItem(item, int(index), float(scores[index])) for item, index in zip(raw, best, strict=True)]


def next_item_scores(
    model: SequenceRecommender, vocabulary: Vocabulary, history: EventHistory, *, with_users: bool = False
) -> NDArray[np.float32]:
    """Returns the scores of all items after a history, float32 `[vocab]`; the arguments are those of `top_items`."""
    users = None
    if with_users:
        users = tf.constant([1 if history.user is None else history.user], tf.int32)
    batch, cold = history_batch(
        tf.constant(history.items[np.newaxis], tf.int32),
        tf.constant([len(history.items)], tf.int32),
        window=model.history_window,
        timestamps=tf.constant(history.timestamps[np.newaxis], tf.int64),
        users=users,
        features=event_tensors(model, history),
        request_time=tf.constant([history.request_time], tf.int64),
    )
    if bool(cold[0]):
        return popularity_scores(vocabulary)
    return np.array(compiled_method(model, "score_targets")(batch)[0], np.float32)


def event_tensors(model: SequenceRecommender, history: EventHistory) -> dict[str, tf.Tensor]:
    """Returns the features of events that a model is told, int32 `[1, events]` each; 0 where they are not known."""
    nothing = np.zeros(len(history.items), np.int32)
    names = model.event_vocabularies
    return {name: tf.constant(history.features.get(name, nothing)[np.newaxis], tf.int32) for name in names}


def popularity_scores(vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Returns the share of each item in the training events, float32 `[vocab]`."""
    counts = vocabulary.counts.astype(np.float64)
    return (counts / max(1.0, counts.sum())).astype(np.float32)


def best_indices(
    scores: NDArray[np.float32], k: int, *, excluded: Collection[int] = (), allowed: Collection[int] | None = None
) -> NDArray[np.int64]:
    """Returns the indices of the k best items, `[at most k]`, equal scores by index.

    Args:
        scores: Scores by item index, `[vocab]`; the reserved indices 0 and 1 are passed over.
        k: How many.
        excluded: Indices that are left out.
        allowed: Indices of which alone results are taken. Default: all.
    """
    competing = np.full(scores.shape, -np.inf)  # [vocab]
    among = slice(FIRST_INDEX, None) if allowed is None else np.array(sorted(allowed), np.int64)
    competing[among] = scores[among]
    competing[:FIRST_INDEX] = -np.inf
    competing[np.array(sorted(excluded), np.int64)] = -np.inf
    best = np.argsort(-competing, kind="stable")[:k]
    return best[np.isfinite(competing[best])]
