"""The best next items after a history, in raw ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.data.event_history import EventHistory
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
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
) -> list[RankedItem]:
    """Ranks all items after a history.

    Args:
        model: A trained model.
        vocabulary: Its item vocabulary.
        history: The events so far.
        k: Number of items to return (fewer when the catalogue is smaller).
        include_seen: Also recommend items of the history. Default: false.
        with_users: Whether batches of the dataset have the index of the user. Default: false.

    Returns:
        The best items, equal scores by index (the more popular first).
    """
    length = len(history.items) + 1
    last = history.timestamps[-1:]
    # A model scores targets from the events before them: the position after the history is a target of unknown id.
    batch = {
        "item": tf.constant([[*history.items, 0]], tf.int32),
        "timestamp": tf.constant([np.concatenate([history.timestamps, last])], tf.int64),
        "length": tf.constant([length], tf.int32),
        "num_targets": tf.constant([1], tf.int32),
    }
    if with_users:
        batch["user"] = tf.constant([1 if history.user is None else history.user], tf.int32)
    scores = np.array(model.score_targets(batch)[0], np.float64)  # [vocab]
    scores[:FIRST_INDEX] = -np.inf
    if not include_seen:
        scores[history.items] = -np.inf
    best = np.argsort(-scores, kind="stable")[:k]
    best = best[np.isfinite(scores[best])]
    raw = vocabulary.raw(best)
    return [RankedItem(item, int(index), float(scores[index])) for item, index in zip(raw, best, strict=True)]
