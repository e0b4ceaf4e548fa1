"""The inputs of signatures, made from what callers give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError
from tfrec.raw_ids import IdType
from tfrec.serving.client.id_arrays import UNKNOWN_ID, id_lists, id_vector, padded_ids
from tfrec.serving.client.model_metadata import ModelMetadata, Signature
from tfrec.serving.client.results import Id
from tfrec.serving.client.transport import Arrays

EventFeatures = Mapping[str, Sequence[Sequence[Id]]]
"""Raw values of features of events by their names, per row and event."""

_OTHER_INPUTS = (
    *("history", "history_length", "timestamp", "request_time", "user"),
    *("k", "exclude_ids", "allow_ids", "exclude_history", "ids"),
)


@dataclass(frozen=True)
class History:
    """Histories of several rows.

    Attributes:
        items: Raw item ids of each row, oldest first.
        timestamps: Milliseconds since 1970 of each event; zeros are sent where a model wants some and there are none.
        users: Raw user id of each row, None for nobody known; an id that nobody has is sent where a model wants one
            and there is none.
        event_features: Raw values of further features of events by their names, per row and event; a value that nobody
            knows is sent where a model wants one and there is none.
        request_times: Milliseconds since 1970 at which each row is asked for; 0, and the default: at its latest event.
    """

    items: Sequence[Sequence[Id]]
    timestamps: Sequence[Sequence[int]] | None = None
    users: Sequence[Id | None] | None = None
    event_features: EventFeatures = field(default_factory=dict)
    request_times: Sequence[int] | None = None

    def inputs(self, metadata: ModelMetadata, signature: Signature) -> Arrays:
        """Returns `history`, `history_length` and, where the signature has them, `timestamp`, `user` and features."""
        rows = len(self.items)
        history, lengths = padded_ids(self.items, metadata.id_type)
        inputs: Arrays = {"history": history, "history_length": lengths}
        if "timestamp" in signature.inputs:
            times = np.zeros(history.shape, np.int64)
            for row, given in enumerate(per_row("timestamps", self.timestamps, rows)):
                if len(given) != lengths[row]:
                    raise ConfigError(f"Row {row} has {lengths[row]} events and {len(given)} timestamps.")
                times[row, : len(given)] = given
            inputs["timestamp"] = times
        if "request_time" in signature.inputs:
            given = per_row("request_times", self.request_times, rows) or [0] * rows
            inputs["request_time"] = np.array(given, np.int64)
        for name in signature.inputs:
            if name not in _OTHER_INPUTS and not name.startswith("state_"):
                inputs[name] = self._event_feature(name, signature, history.shape, lengths)
        if "user" in signature.inputs:
            kind: IdType = "string" if signature.inputs["user"].dtype == "string" else "int64"
            users = per_row("users", self.users, rows) or [None] * rows
            inputs["user"] = id_vector(
                [UNKNOWN_ID[kind] if user is None else user for user in users], kind, what="user"
            )
        return inputs

    def _event_feature(
        self, name: str, signature: Signature, shape: tuple[int, ...], lengths: npt.NDArray[np.int32]
    ) -> npt.NDArray[Any]:
        kind: IdType = "string" if signature.inputs[name].dtype == "string" else "int64"
        unknown = UNKNOWN_ID[kind]
        given = per_row(name, self.event_features.get(name), len(self.items)) or [[unknown] * size for size in lengths]
        for row, values in enumerate(given):
            if len(values) != lengths[row]:
                raise ConfigError(f"Row {row} has {lengths[row]} events and {len(values)} values of `{name}`.")
        return id_lists([[*values, *[unknown] * (shape[1] - len(values))] for values in given], kind)


@dataclass(frozen=True)
class RecommendRequest:
    """A request of the signature `recommend`.

    Attributes:
        history: The histories.
        k: Most items per row.
        excluded: Items not to recommend, per row.
        allowed: The only items to recommend, per row; None when all may be.
        exclude_history: Whether to leave out the items of the history.
    """

    history: History
    k: int
    excluded: Sequence[Sequence[Id]]
    allowed: Sequence[Sequence[Id]] | None
    exclude_history: bool

    def inputs(self, metadata: ModelMetadata, signature: Signature) -> Arrays:
        """Returns the inputs by name."""
        kind = metadata.id_type
        if self.allowed is None:
            allowed = id_lists([()] * len(self.history.items), kind)  # [rows, 0]: no list
        else:
            nothing = [UNKNOWN_ID[kind]]  # an empty list allows nothing
            allowed = id_lists([row if len(row) else nothing for row in self.allowed], kind)
        return {
            **self.history.inputs(metadata, signature),
            "k": np.array(self.k, np.int32),
            "exclude_ids": id_lists(self.excluded, kind),
            "allow_ids": allowed,
            "exclude_history": np.array(self.exclude_history),
        }


def state_names(names: Iterable[str]) -> list[str]:
    """Returns `state_0`, `state_1`, ... of the names of inputs or outputs, in order."""
    return sorted((name for name in names if name.startswith("state_")), key=lambda name: int(name[len("state_") :]))


def state_inputs(signature: Signature, state: Sequence[npt.NDArray[np.float32]] | None, rows: int) -> Arrays:
    """Returns the state of sessions by input name; zeros for sessions that begin."""
    names = state_names(signature.inputs)
    if state is not None and len(state) != len(names):
        raise ConfigError(f"The model has {len(names)} state arrays, received {len(state)}.")
    inputs: Arrays = {}
    for number, name in enumerate(names):
        units = (signature.inputs[name].shape or (None,))[-1]
        if state is None and units is None:
            raise ConfigError(f"The signature does not say how wide `{name}` is: give the first state.")
        given = np.zeros((rows, units or 0)) if state is None else state[number]
        inputs[name] = np.asarray(given, np.float32)  # [rows, units]
    return inputs


def per_row(name: str, values: Sequence[Any] | None, rows: int) -> list[Any]:
    """Returns the values as a list, one per row, or an empty list for None.

    Raises:
        ConfigError: There are more or fewer values than rows.
    """
    if values is not None and len(values) != rows:
        raise ConfigError(f"`{name}` has {len(values)} rows, the request has {rows}.")
    return [] if values is None else list(values)


def taken(column: Sequence[Any] | None, rows: Sequence[int]) -> Any:
    """Returns the values of some rows; None for None."""
    return None if column is None else [column[row] for row in rows]


def taken_features(columns: Mapping[str, Sequence[Any]], rows: Sequence[int]) -> dict[str, list[Any]]:
    """Returns the values of some rows, column by column."""
    return {name: [column[row] for row in rows] for name, column in columns.items()}
