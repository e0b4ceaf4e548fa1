"""Step-wise prediction: every call advances a batch of sessions by one event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import DataError
from tfrec.models.gru4rec import GRU4Rec


class SessionPredictor:
    """Keeps the state of the sessions in its lanes and scores the next item after each event.

    The state of a lane is kept while its session id stays the same and zeroed when another session enters. A batch of
    another size starts all lanes anew.

    Args:
        model: A trained model.
        vocabulary: Its item vocabulary.

    Example:
        >>> predictor = SessionPredictor(model, dataset.item_vocabulary)  # doctest: +SKIP
        >>> predictor.predict_next([1, 2], [214716935, 214832672]).shape  # doctest: +SKIP
        (2, 2933)

    Reference: GRU4Rec `predict_next_batch`.
    """

    def __init__(self, model: GRU4Rec, vocabulary: Vocabulary) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self._session_ids: NDArray[Any] | None = None
        self._state = model.stack.zero_state(0)
        self._step = tf.function(model.session_step, reduce_retracing=True)

    def predict_next(
        self, session_ids: Sequence[Any], items: Sequence[Any], candidates: Sequence[Any] | None = None
    ) -> NDArray[np.float32]:
        """Takes one event per lane.

        Args:
            session_ids: Session in each lane, `[lanes]`.
            items: Raw id of each lane's new item, `[lanes]`.
            candidates: Raw ids of the items to score. Default: all, in the order of the vocabulary.

        Returns:
            Scores, float32 `[lanes, candidates]`, with the final activation left out.

        Raises:
            DataError: The lists differ in length, or an item is not in the training data.
        """
        if len(session_ids) != len(items):
            raise DataError(f"There are {len(session_ids)} session ids for {len(items)} items.")
        indices = self._indices(items)
        ids = np.asarray(session_ids)
        if self._session_ids is None or len(ids) != len(self._session_ids):
            state = self.model.stack.zero_state(len(ids))
        else:
            stays = tf.constant(ids == self._session_ids)[:, tf.newaxis]  # [lanes, 1]
            state = tuple(tf.where(stays, layer, 0.0) for layer in self._state)
        self._state, self._session_ids = self._step(tf.constant(indices), state), ids
        vectors, bias = self.model.item_table()
        chosen = np.arange(2, self.vocabulary.size) if candidates is None else self._indices(candidates)
        scores = tf.matmul(self._state[-1], tf.gather(vectors, chosen), transpose_b=True) + tf.gather(bias, chosen)
        return np.array(scores, np.float32)

    def _indices(self, items: Sequence[Any]) -> NDArray[np.int32]:
        indices = self.vocabulary.lookup(items)
        unknown = [item for item, index in zip(items, indices, strict=True) if index < 2]
        if unknown:
            raise DataError(
                f"The item `{unknown[0]}` is not in the training data.",
                remedy="Pass over unknown items before the call: the state then stays what it was.",
            )
        return indices
