"""What an export has to answer: the results of the model itself, request by request, without the export."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.event_history import EventHistory
from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, PADDING_INDEX, Vocabulary
from tfrec.models.history_batch import history_batch
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.serving.client.id_arrays import UNKNOWN_ID
from tfrec.serving.client.results import LOWEST_SCORE
from tfrec.serving.replay import binary
from tfrec.training.top_items import best_indices, event_tensors, next_item_scores, top_items

Values = dict[str, Any]


class OfflineAnswers:
    """Answers requests one history at a time with `tfrec.training.top_items`.

    Args:
        model: The trained model.
        items: Its item vocabulary.
        users: Its user vocabulary, if any.
        k: Length of lists where the request does not say.
        candidates: Indices of the items that may be recommended. Default: all.
    """

    def __init__(
        self,
        model: SequenceRecommender,
        items: Vocabulary,
        *,
        users: Vocabulary | None = None,
        k: int = 100,
        candidates: Collection[int] | None = None,
    ) -> None:
        self.model: Any = model
        self.items = items
        self.users = users
        self.k = k
        self.candidates = None if candidates is None else frozenset(candidates)
        self._missing: Any = 0 if items.id_type == "int64" else ""

    @property
    def num_candidates(self) -> int:
        """Number of items that may be recommended."""
        return self.items.size - FIRST_INDEX if self.candidates is None else len(self.candidates)

    def answer(self, signature: str, inputs: Mapping[str, Any]) -> Values:
        """Returns the outputs of a signature as nested lists; the inputs are as in a golden request."""
        outputs: Values = getattr(self, f"_{signature}")(inputs)
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in outputs.items()}

    def histories(self, signature: str, inputs: Mapping[str, Any]) -> list[EventHistory]:
        """Returns the history of every row of a request."""
        if signature == "examples":
            return [self._history_of(binary(text)) for text in inputs["examples"]]
        users = self.users.lookup(inputs["user"]) if self._wants("user") and self.users is not None else None
        histories = []
        for row, (raw, length) in enumerate(zip(inputs["history"], inputs["history_length"], strict=True)):
            events = self.items.lookup(raw[:length])
            times = np.zeros(len(events), np.int64)
            if self._wants("timestamp"):
                times = np.array(inputs["timestamp"][row][:length], np.int64)
            values = self.model.event_vocabularies
            features = {name: _told(values[name], inputs[name][row][:length]) for name in values}
            user = None if users is None else int(users[row])
            request = int(inputs["request_time"][row]) if self._wants("request_time") else 0
            histories.append(EventHistory(events, times, user=user, features=features, request_time=request))
        return histories

    def _serving_default(self, inputs: Mapping[str, Any]) -> Values:
        return self._default_lists("serving_default", inputs)

    def _recommend(self, inputs: Mapping[str, Any]) -> Values:
        rows = []
        for row, history in enumerate(self.histories("recommend", inputs)):
            excluded, allowed = (self.items.lookup(inputs[name][row]) for name in ("exclude_ids", "allow_ids"))
            rows.append(
                self._top(
                    history,
                    inputs["k"],
                    include_seen=not inputs["exclude_history"],
                    excluded=excluded.tolist(),
                    allowed=allowed.tolist() if len(allowed) else None,
                )
            )
        return self._ranked(rows, inputs["k"])

    def _encode_user(self, inputs: Mapping[str, Any]) -> Values:
        return {"vector": np.stack([self._state(history) for history in self.histories("encode_user", inputs)])}

    def _encode_item(self, inputs: Mapping[str, Any]) -> Values:
        vectors, bias = (np.asarray(part, np.float32) for part in self.model.item_table())
        indices = self.items.lookup(inputs["ids"])
        known = indices >= FIRST_INDEX
        return {"vector": vectors[indices] * known[:, np.newaxis], "bias": bias[indices] * known}

    def _score(self, inputs: Mapping[str, Any]) -> Values:
        rows = []
        for row, history in enumerate(self.histories("score", inputs)):
            indices = self.items.lookup(inputs["ids"][row])
            scores = next_item_scores(self.model, self.items, history, with_users=history.user is not None)
            rows.append(np.where(indices >= FIRST_INDEX, scores[indices], np.float32(LOWEST_SCORE)))
        return {"scores": np.stack(rows).astype(np.float32)}

    def _examples(self, inputs: Mapping[str, Any]) -> Values:
        return self._default_lists("examples", inputs)

    def _session_step(self, inputs: Mapping[str, Any]) -> Values:
        state = [tf.constant(inputs[f"state_{layer}"], tf.float32) for layer in range(len(self.model.state_units))]
        state = self.model.session_step(tf.constant(self.items.lookup(inputs["ids"])), state)
        vectors, bias = (np.asarray(part, np.float64) for part in self.model.item_table())
        rows = []
        for scores in np.asarray(state[-1], np.float64) @ vectors.T + bias:
            found = best_indices(scores.astype(np.float32), self.k, allowed=self.candidates)
            rows.append([(int(index), float(scores[index])) for index in found])
        layers = {f"state_{layer}": np.asarray(value, np.float32) for layer, value in enumerate(state)}
        return {**layers, **self._ranked(rows, self.k)}

    def _wants(self, feature: str) -> bool:
        return feature in self.model.request_features

    def _history_of(self, serialized: bytes) -> EventHistory:
        features = tf.train.Example.FromString(serialized).features.feature
        held = {name: np.array(feature.int64_list.value, np.int64) for name, feature in features.items()}
        held["item"] = _known(held["item"], self.items.size)
        length = len(held["item"]) - int(held["num_targets"][0] if "num_targets" in held else 0)
        times = held.get("timestamp", np.zeros(len(held["item"]), np.int64))
        user = None
        if "user" in held and self._wants("user") and self.users is not None:
            user = int(_known(held["user"], self.users.size)[0])
        names = self.model.event_vocabularies
        own = {name: held[name][:length].astype(np.int32) for name in names if name in held}
        request = int(times[length]) if self._wants("request_time") and length < len(times) else 0
        items = held["item"][:length].astype(np.int32)
        return EventHistory(items, times[:length], user=user, features=own, request_time=request)

    def _default_lists(self, signature: str, inputs: Mapping[str, Any]) -> Values:
        return self._ranked([self._top(history, self.k) for history in self.histories(signature, inputs)], self.k)

    def _top(
        self,
        history: EventHistory,
        k: int,
        *,
        include_seen: bool = False,
        excluded: Sequence[int] = (),
        allowed: Sequence[int] | None = None,
    ) -> list[tuple[int, float]]:
        among = None if allowed is None else {index for index in allowed if index >= FIRST_INDEX}
        if self.candidates is not None:
            among = set(self.candidates) if among is None else among & self.candidates
        found = top_items(
            self.model,
            self.items,
            history,
            k,
            include_seen=include_seen,
            with_users=history.user is not None,
            excluded=excluded,
            allowed=among,
        )
        return [(item.index, item.score) for item in found]

    def _ranked(self, rows: Sequence[Sequence[tuple[int, float]]], k: int) -> Values:
        width = min(k, self.num_candidates)
        padded = [[*row, *[(PADDING_INDEX, LOWEST_SCORE)] * (width - len(row))] for row in rows]
        raw = [self.items.raw([index for index, _ in row]) for row in padded]
        return {
            "items": [[self._missing if identity is None else identity for identity in row] for row in raw],
            "scores": np.array([[score for _, score in row] for row in padded], np.float32).reshape(len(rows), width),
            "count": [len(row) for row in rows],
        }

    def _state(self, history: EventHistory) -> NDArray[np.float32]:
        users = tf.constant([OOV_INDEX if history.user is None else history.user])
        batch, cold = history_batch(
            tf.constant(history.items[np.newaxis], tf.int32),
            tf.constant([len(history.items)]),
            window=self.model.history_window,
            timestamps=tf.constant(history.timestamps[np.newaxis]),
            users=users if self._wants("user") else None,
            features=event_tensors(self.model, history),
            request_time=tf.constant([history.request_time], tf.int64),
        )
        state = np.asarray(self.model.encode_targets(batch)[0], np.float32)
        return np.zeros_like(state) if bool(cold[0]) else state


def _told(vocabulary: Vocabulary, raw: Sequence[Any]) -> NDArray[np.int32]:
    """Indices of raw values of a feature of events; 0 for those that nobody told."""
    untold = np.array([value == UNKNOWN_ID[vocabulary.id_type] for value in raw], np.bool_)
    return np.where(untold, np.int32(PADDING_INDEX), vocabulary.lookup(raw))


def _known(indices: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Returns indices, those that do not exist as out of vocabulary."""
    return np.where((indices >= 0) & (indices < size), indices, OOV_INDEX)
