"""Requests that show whether an export answers as its model, with the answers; format: `tfrec.serving.replay`."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, PADDING_INDEX, Vocabulary
from tfrec.serving.client.id_arrays import UNKNOWN_ID
from tfrec.serving.offline_answers import OfflineAnswers

Request = dict[str, Any]

_LONGER = 7
_LISTED = 20
_HOUR = 3_600_000


@dataclass(frozen=True)
class GoldenHistory:
    """A history to ask after.

    Attributes:
        items: Item indices, oldest first.
        timestamps: Milliseconds since 1970, one per event.
        user: User index.
        features: Indices of further features of events, one per event.
    """

    items: list[int]
    timestamps: list[int] = field(default_factory=list)
    user: int = OOV_INDEX
    features: dict[str, list[int]] = field(default_factory=dict)


def sample_histories(dataset: InteractionDataset, number: int = 6) -> list[GoldenHistory]:
    """Returns some histories of the latest split of a data set, of different lengths."""
    split = dataset.splits[-1]
    more = dataset.event_features
    names = ("item", "timestamp", "user", *more)
    spec = {name: dataset.feature_spec[name] for name in names if name in dataset.feature_spec}
    with dataset.explain_data_loss(split):
        serialized = next(iter(dataset.records(dataset.shard_paths(split)).batch(64)))
    parsed = tf.io.parse_example(serialized, spec)
    users = parsed["user"].numpy().tolist() if "user" in spec else [OOV_INDEX] * len(serialized)
    columns = {name: parsed[name].to_list() for name in more}
    features = [{name: values[row] for name, values in columns.items()} for row in range(len(users))]
    events = zip(parsed["item"].to_list(), parsed["timestamp"].to_list(), users, features, strict=True)
    ordered = sorted((GoldenHistory(*event) for event in events), key=lambda history: len(history.items))
    places = np.linspace(0, len(ordered) - 1, min(number, len(ordered))).astype(int)
    return [ordered[place] for place in places]


class GoldenRequests:
    """Composes requests to every signature of an export.

    Args:
        answers: The model, offline.
        signatures: Names of the signatures of the export.
        histories: Histories of the data, at least one.
    """

    def __init__(self, answers: OfflineAnswers, signatures: Sequence[str], histories: Sequence[GoldenHistory]) -> None:
        self._answers = answers
        self._signatures = signatures
        self._histories = list(histories)
        self._known = answers.items.ids.tolist()
        self._features = answers.model.request_features
        self._events = answers.model.event_vocabularies
        self._unknown = _unknown_ids(answers.items)
        self._unknown_user = _unknown_ids(answers.users)[0] if answers.users is not None else 0

    def compose(self) -> list[Request]:
        """Returns about twenty-five requests with the answers of the model."""
        requests: list[Request] = []
        for signature in ("serving_default", "recommend", "score", "encode_user", "encode_item", "examples"):
            if signature in self._signatures:
                for name, inputs in getattr(self, f"_{signature}")():
                    requests.append(self._request(name, signature, inputs))
        if "session_step" in self._signatures:
            requests += self._sessions()
        return requests

    def _request(self, name: str, signature: str, inputs: dict[str, Any]) -> Request:
        outputs = self._answers.answer(signature, inputs)
        return {"name": name, "signature": signature, "inputs": inputs, "outputs": outputs}

    # ---- requests by signature ------------------------------------------------------------------------------------

    def _serving_default(self) -> list[tuple[str, dict[str, Any]]]:
        longest = max(self._histories, key=lambda history: len(history.items))
        return [
            ("a history", self._batch([longest])),
            ("histories of all lengths", self._batch([*self._histories, GoldenHistory([])])),
        ]

    def _recommend(self) -> list[tuple[str, dict[str, Any]]]:
        history = self._histories[-1]
        plain = self._wishes(self._batch([history]))
        best = self._answers.answer("recommend", plain)["items"][0]
        every = max(1, len(self._known) // _LISTED)
        some = self._known[::every][:_LISTED]
        cold = self._batch([GoldenHistory([])])
        window = self._answers.model.history_window
        source = [index for one in self._histories for index in one.items if index >= FIRST_INDEX] or [FIRST_INDEX]
        long = (source * (window // len(source) + 2))[: window + _LONGER]
        times = [int(time) for time in np.arange(len(long)) * 60_000]
        unknown, other = self._unknown
        strangers = {**self._batch([history]), "history": [[unknown, other, unknown]], "history_length": [3]}
        if "timestamp" in self._features:
            strangers["timestamp"] = [[1, 2, 3]]
        strangers |= {name: [[self._value(name, index) for index in (0, 1, 0)]] for name in self._events}
        mixed = self._batch([history])
        mixed["history"] = [[unknown if place == 1 else raw for place, raw in enumerate(mixed["history"][0])]]
        everything = len(self._known) if len(self._known) <= 1000 else 1000
        requests = [
            ("plain", plain),
            ("one item", self._wishes(self._batch([history]), k=1)),
            ("as many as there are", self._wishes(self._batch([history]), k=everything + 5)),
            ("with the history", self._wishes(self._batch([history]), exclude_history=False)),
            ("the best excluded", self._wishes(self._batch([history]), exclude=[*best[:3], best[0], unknown])),
            ("an allow-list", self._wishes(self._batch([history]), allow=[*some, unknown])),
            (
                "excluded from an allow-list",
                self._wishes(self._batch([history]), allow=some, exclude=some[: len(some) // 2]),
            ),
            ("nothing known is allowed", self._wishes(self._batch([history]), allow=[unknown, other])),
            ("empty history", self._wishes(cold)),
            ("empty history, allow-list, exclusion", self._wishes(cold, allow=some, exclude=some[:2])),
            ("unknown items only", self._wishes(strangers)),
            ("an unknown item", self._wishes(mixed)),
            ("long history", self._wishes(self._batch([GoldenHistory(long, times, history.user)]))),
            ("several rows", self._wishes(self._batch([*self._histories[:3], GoldenHistory([])]), exclude=some[:3])),
        ]
        if "user" in self._features:
            nobody = {**self._batch([history]), "user": [self._unknown_user]}
            requests.append(("unknown user", self._wishes(nobody)))
        return requests

    def _score(self) -> list[tuple[str, dict[str, Any]]]:
        batch = self._batch([self._histories[-1], GoldenHistory([])])
        ids = [*self._known[:3], self._unknown[0], self._known[-1]]
        return [("given items", {**batch, "ids": [ids, list(reversed(ids))]})]

    def _encode_user(self) -> list[tuple[str, dict[str, Any]]]:
        return [("states", self._batch([*self._histories, GoldenHistory([])]))]

    def _encode_item(self) -> list[tuple[str, dict[str, Any]]]:
        return [("item vectors", {"ids": [self._known[0], self._known[-1], self._unknown[0]]})]

    def _examples(self) -> list[tuple[str, dict[str, Any]]]:
        encoded = [
            self._example(self._histories[-1], 0),
            self._example(self._histories[-1], min(1, len(self._histories[-1].items))),
            self._example(self._histories[0], None),
        ]
        return [("examples", {"examples": encoded})]

    def _sessions(self) -> list[Request]:
        """Two steps of two sessions, the second from the state that the first left."""
        units = self._answers.model.state_units
        state: dict[str, Any] = {f"state_{layer}": np.zeros([2, width]).tolist() for layer, width in enumerate(units)}
        requests = []
        for name, ids in (
            ("first step", [self._known[0], self._known[-1]]),
            ("second step", [self._known[-1], self._unknown[0]]),
        ):
            requests.append(self._request(name, "session_step", {"ids": ids, **state}))
            state = {key: requests[-1]["outputs"][key] for key in state}
        return requests

    # ---- inputs ---------------------------------------------------------------------------------------------------

    def _batch(self, histories: Sequence[GoldenHistory]) -> dict[str, Any]:
        width = max(len(history.items) for history in histories)
        rows, times = [], []
        for history in histories:
            raw = [self._unknown[0] if one is None else one for one in self._answers.items.raw(history.items)]
            rows.append(raw + [self._known[0]] * (width - len(raw)))  # what pads must not count
            events = [int(time) for time in history.timestamps] or [0] * len(raw)
            times.append(events + [0] * (width - len(raw)))
        inputs: dict[str, Any] = {"history": rows, "history_length": [len(history.items) for history in histories]}
        if "timestamp" in self._features:
            inputs["timestamp"] = times
        if "request_time" in self._features:  # some hours after the latest event; of the first row it is not known
            later = [
                (row[len(history.items) - 1] if history.items else 0)
                for row, history in zip(times, histories, strict=True)
            ]
            inputs["request_time"] = [number and time + number * _HOUR for number, time in enumerate(later)]
        for name in self._events:
            rows = [history.features.get(name, [0] * len(history.items)) for history in histories]
            inputs[name] = [[self._value(name, index) for index in row + [0] * (width - len(row))] for row in rows]
        if "user" in self._features and self._answers.users is not None:
            raw = self._answers.users.raw([history.user for history in histories])
            inputs["user"] = [self._unknown_user if one is None else one for one in raw]
        return inputs

    def _value(self, name: str, index: int) -> Any:
        """The raw value of a feature of events: that of nobody for index 0, an unknown one for 1."""
        if index == PADDING_INDEX:
            return UNKNOWN_ID[self._events[name].id_type]
        [raw] = self._events[name].raw([index])
        return _unknown_ids(self._events[name])[0] if raw is None else raw

    def _wishes(
        self,
        batch: dict[str, Any],
        *,
        k: int = 10,
        exclude: Sequence[Any] = (),
        allow: Sequence[Any] = (),
        exclude_history: bool = True,
    ) -> dict[str, Any]:
        rows = range(len(batch["history"]))
        return {
            **batch,
            "k": k,
            "exclude_ids": [list(exclude) for _ in rows],
            "allow_ids": [list(allow) for _ in rows],
            "exclude_history": exclude_history,
        }

    def _example(self, history: GoldenHistory, num_targets: int | None) -> dict[str, str]:
        columns = {"item": history.items, "timestamp": history.timestamps, "user": [history.user]}
        columns |= {name: history.features.get(name, [0] * len(history.items)) for name in self._events}
        if num_targets is not None:
            columns["num_targets"] = [num_targets]
        features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=held)) for name, held in columns.items()}
        return example_input(features)


def example_input(features: Mapping[str, tf.train.Feature]) -> dict[str, str]:
    """Returns a serialized `tf.Example` as golden requests hold it."""
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return {"b64": base64.b64encode(message.SerializeToString(deterministic=True)).decode()}


def _unknown_ids(vocabulary: Vocabulary) -> list[Any]:
    """Two ids that the vocabulary does not have."""
    known = set(vocabulary.ids.tolist())
    if vocabulary.id_type == "string":
        candidates: list[Any] = ["no such id", *(f"no such id {number}" for number in range(1, len(known) + 2))]
    else:
        candidates = [*range(2**62, 2**62 + len(known) + 2)]
    return [identity for identity in candidates if identity not in known][:2]
