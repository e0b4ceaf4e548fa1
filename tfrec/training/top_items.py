"""The best next items for one session, in raw ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError, DataError
from tfrec.models.sequence_recommender import SequenceRecommender


class TopItems(NamedTuple):
    """Recommendations for a session.

    Attributes:
        ranked: Raw id and score, best first.
        unknown: Items of the session that the training data does not have; they were passed over.
    """

    ranked: list[tuple[Any, float]]
    unknown: list[str]


def top_items(
    model: SequenceRecommender, vocabulary: Vocabulary, session: Sequence[str], k: int, *, exclude_seen: bool = False
) -> TopItems:
    """Ranks all items after a session.

    Args:
        model: A trained model.
        vocabulary: Its item vocabulary.
        session: Raw item ids as text, oldest first.
        k: Number of items to return (fewer when the catalogue is smaller).
        exclude_seen: Leave out the items of the session.

    Returns:
        The best items, equal scores by index (the more popular first), and the unknown ids.

    Raises:
        ConfigError: An id is not of the vocabulary's type.
        DataError: None of the items is known.
    """
    is_integer = np.issubdtype(vocabulary.ids.dtype, np.integer)
    try:
        raw = [int(item) if is_integer else item for item in session]
    except ValueError as error:
        raise ConfigError(f"The item ids of this model are integers, received `{','.join(session)}`.") from error
    indices = vocabulary.lookup(raw)
    unknown = [item for item, index in zip(session, indices, strict=True) if index < 2]
    known = np.array([index for index in indices if index >= 2], np.int32)
    if not len(known):
        raise DataError(
            f"None of the items {', '.join(f'`{item}`' for item in session)} is in the training data.",
            remedy="Check that these are raw item ids of the log the model was trained on.",
        )
    # A model scores targets from the events before them: the position after the session is a target of unknown id.
    batch = {
        "item": tf.constant([[*known, 0]], tf.int32),
        "timestamp": tf.zeros([1, len(known) + 1], tf.int64),
        "length": tf.constant([len(known) + 1], tf.int32),
        "num_targets": tf.constant([1], tf.int32),
    }
    scores = np.array(model.score_targets(batch)[0], np.float64)  # [vocab]
    scores[:2] = -np.inf
    if exclude_seen:
        scores[known] = -np.inf
    best = np.argsort(-scores, kind="stable")[:k]
    best = best[np.isfinite(scores[best])]
    ids = vocabulary.raw(best)
    return TopItems([(item, float(scores[index])) for item, index in zip(ids, best, strict=True)], unknown)
