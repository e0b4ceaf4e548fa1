"""Recommendations from a model server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError
from tfrec.serving.client.id_arrays import id_lists, id_vector
from tfrec.serving.client.model_client import ModelClient
from tfrec.serving.client.model_metadata import ModelMetadata, Signature
from tfrec.serving.client.requests import (
    EventFeatures,
    History,
    RecommendRequest,
    per_row,
    state_inputs,
    state_names,
    taken,
    taken_features,
)
from tfrec.serving.client.results import Id, ItemVectors, RankedItem, SessionStep, ranked_lists
from tfrec.serving.client.retry_policy import RetryPolicy
from tfrec.serving.client.transport import Arrays

DEFAULT_MODEL = "recommender"
_LARGEST_K = 2**31 - 1


class RecommenderClient(ModelClient):
    """Asks a model that `tfrec.export` wrote and TensorFlow Serving (or a server with its interface) serves.

    One client holds its connections open and may be used from several threads. Raw ids go in and come out, int64 or
    strings as in the log; the type is taken from the model's signatures. Histories are oldest first. Items or users
    that the model does not know are passed over, and an empty history gets the most popular items.

    Args and what it raises: as of `ModelClient`; the name of the model is `recommender` unless another one is given.

    All methods raise `ServingError` when the server cannot be reached in time or refuses, and `ConfigError` when an
    id is not of the model's type.

    Example:
        >>> with RecommenderClient("grpc://localhost:8500") as client:  # doctest: +SKIP
        ...     client.recommend([214821275, 214716935], k=2)
        [RankedItem(item=214832672, score=8.1), RankedItem(item=214716932, score=7.9)]
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = DEFAULT_MODEL,
        version: int | None = None,
        timeout: float = 5.0,
        retry: RetryPolicy | None = None,
        ca_file: str | Path | None = None,
    ) -> None:
        super().__init__(url, model=model, version=version, timeout=timeout, retry=retry, ca_file=ca_file)

    def recommend(
        self,
        history: Sequence[Id],
        k: int = 10,
        *,
        exclude: Sequence[Id] = (),
        allow: Sequence[Id] | None = None,
        exclude_history: bool = True,
        timestamps: Sequence[int] | None = None,
        user: Id | None = None,
        event_features: Mapping[str, Sequence[Id]] | None = None,
        request_time: int = 0,
    ) -> list[RankedItem]:
        """Returns the best next items after one history, see `recommend_many`."""
        return self.recommend_many(
            [history],
            k,
            exclude=[exclude],
            allow=[allow],
            exclude_history=exclude_history,
            timestamps=None if timestamps is None else [timestamps],
            users=[user],
            event_features={name: [values] for name, values in (event_features or {}).items()},
            request_times=[request_time],
        )[0]

    def recommend_many(
        self,
        histories: Sequence[Sequence[Id]],
        k: int = 10,
        *,
        exclude: Sequence[Sequence[Id]] | None = None,
        allow: Sequence[Sequence[Id] | None] | None = None,
        exclude_history: bool = True,
        timestamps: Sequence[Sequence[int]] | None = None,
        users: Sequence[Id | None] | None = None,
        event_features: EventFeatures | None = None,
        request_times: Sequence[int] | None = None,
    ) -> list[list[RankedItem]]:
        """Returns the best next items after each of several histories.

        Args:
            histories: Raw item ids of each row, oldest first; may be empty.
            k: Most items per row.
            exclude: Items not to recommend, per row.
            allow: The only items to recommend, per row; None where all may be, an empty list where none.
            exclude_history: Leave out the items of the history. Default: true.
            timestamps: Milliseconds since 1970 of the history's events, for models that use time. Default: 0.
            users: Raw user ids, for models with user vectors; None for nobody the model knows. Default: None for all.
            event_features: Raw values of features of the history's events, as `{"behavior_type": [[1, 4]]}`, for models
                that are told more than items. Default: unknown ones.
            request_times: Milliseconds since 1970 at which each row is asked for, for models that use it (HSTU), whose
                lists it makes better. Default: 0, the time of the latest event.

        Returns:
            One list per row, best first; shorter than k when fewer items are left.
        """
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= _LARGEST_K:
            raise ConfigError(f"`k` must be a whole number from 1 to {_LARGEST_K:,}, received {k!r}.")
        rows = len(histories)
        excluded = per_row("exclude", exclude, rows) or [()] * rows
        allowed = per_row("allow", allow, rows) or [None] * rows
        ranked: list[list[RankedItem]] = [[] for _ in range(rows)]
        # The server tells "no list" from "an empty list" by the width of the whole input: rows of a kind go together.
        for limited in (False, True):
            chosen = [row for row in range(rows) if (allowed[row] is not None) == limited]
            if chosen:
                request = RecommendRequest(
                    History(
                        taken(histories, chosen),
                        taken(timestamps, chosen),
                        taken(users, chosen),
                        taken_features(event_features or {}, chosen),
                        taken(request_times, chosen),
                    ),
                    k,
                    [excluded[row] for row in chosen],
                    [allowed[row] for row in chosen] if limited else None,
                    exclude_history,
                )
                answered = ranked_lists(self._caller.predict("recommend", request.inputs))
                for row, found in zip(chosen, answered, strict=True):
                    ranked[row] = found
        return ranked

    def recommend_default(
        self,
        histories: Sequence[Sequence[Id]],
        *,
        timestamps: Sequence[Sequence[int]] | None = None,
        users: Sequence[Id | None] | None = None,
        event_features: EventFeatures | None = None,
        request_times: Sequence[int] | None = None,
    ) -> list[list[RankedItem]]:
        """Returns as many items as the export was made for, without those of the history.

        This is the signature for servers that gather requests into batches: `recommend` has inputs without a batch
        axis and lists that must not be padded, so TensorFlow Serving refuses it once batching is switched on.

        Args:
            histories: As in `recommend_many`.
            timestamps: As in `recommend_many`.
            users: As in `recommend_many`.
            event_features: As in `recommend_many`.
            request_times: As in `recommend_many`.

        Returns:
            One list per row, best first.
        """
        history = History(histories, timestamps, users, event_features or {}, request_times)
        return ranked_lists(self._caller.predict("serving_default", history.inputs))

    def recommend_examples(self, examples: Sequence[bytes]) -> list[list[RankedItem]]:
        """Returns the best next items after serialized `tf.Example`s in the sequence format of datasets."""
        serialized = np.empty(len(examples), object)
        serialized[:] = examples
        return ranked_lists(self._caller.predict("examples", lambda *_: {"examples": serialized}))

    def encode_user(
        self,
        histories: Sequence[Sequence[Id]],
        *,
        timestamps: Sequence[Sequence[int]] | None = None,
        users: Sequence[Id | None] | None = None,
        event_features: EventFeatures | None = None,
        request_times: Sequence[int] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Returns the vectors of histories, float32 `[rows, dim]`; models whose scores are products of vectors only."""

        history = History(histories, timestamps, users, event_features or {}, request_times)
        return cast("npt.NDArray[np.float32]", self._caller.predict("encode_user", history.inputs)["vector"])

    def encode_item(self, ids: Sequence[Id]) -> ItemVectors:
        """Returns the vectors and biases of items; models whose scores are products of vectors only."""
        outputs = self._caller.predict("encode_item", lambda metadata, _: {"ids": id_vector(ids, metadata.id_type)})
        return ItemVectors(outputs["vector"], outputs["bias"])

    def score(
        self,
        histories: Sequence[Sequence[Id]],
        candidates: Sequence[Sequence[Id]],
        *,
        timestamps: Sequence[Sequence[int]] | None = None,
        users: Sequence[Id | None] | None = None,
        event_features: EventFeatures | None = None,
        request_times: Sequence[int] | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """Returns the scores of given items after each history.

        Args:
            histories: Raw item ids of each row, oldest first.
            candidates: Raw ids of the items to score, per row.
            timestamps: As in `recommend_many`.
            users: As in `recommend_many`.
            event_features: As in `recommend_many`.
            request_times: As in `recommend_many`.

        Returns:
            float32 `[candidates of the row]` for each row.
        """
        per_row("candidates", candidates, len(histories))
        if not any(map(len, candidates)):
            return [np.zeros(0, np.float32) for _ in histories]
        history = History(histories, timestamps, users, event_features or {}, request_times)

        def inputs(metadata: ModelMetadata, signature: Signature) -> Arrays:
            return {**history.inputs(metadata, signature), "ids": id_lists(candidates, metadata.id_type)}

        scores = self._caller.predict("score", inputs)["scores"]
        return [row[: len(wanted)] for row, wanted in zip(scores, candidates, strict=True)]

    def session_step(self, ids: Sequence[Id], state: Sequence[npt.NDArray[np.float32]] | None = None) -> SessionStep:
        """Takes sessions one event further, for models that keep a state (GRU4Rec).

        Args:
            ids: The new event's raw item id of each session.
            state: `SessionStep.state` of the step before. Default: zeros, for the first event.

        Returns:
            The new state, and what to recommend now.
        """

        outputs = self._caller.predict(
            "session_step",
            lambda metadata, signature: {
                "ids": id_vector(ids, metadata.id_type),
                **state_inputs(signature, state, len(ids)),
            },
        )
        new_state = tuple(outputs[name] for name in state_names(outputs))
        return SessionStep(new_state, ranked_lists(outputs))
