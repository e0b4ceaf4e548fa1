"""The events after which items are recommended: those of a known user, or items named by hand."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrec.data.dataset import InteractionDataset
from tfrec.data.pipeline_options import parallel_calls, with_pipeline_options
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.errors import ConfigError, DataError

_SCAN_BATCH = 4096
_MOST_COMPARED = 200_000
_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True)
class EventHistory:
    """Events in order of time.

    Attributes:
        items: Item indices, int32 `[events]`; 1 = an item without index.
        timestamps: Milliseconds since 1970, int64 `[events]`; 0 where no time is known.
        user: User index; None without one.
        split: The split it was found in; None when it comes from nowhere.
        unknown: Raw ids that were passed over because they have no index.
        features: Indices of further features of events, int32 `[events]` each; none where nothing is known of them.
        request_time: When something is to be recommended, milliseconds since 1970; 0: at the latest event.
    """

    items: npt.NDArray[np.int32]
    timestamps: npt.NDArray[np.int64]
    user: int | None = None
    split: str | None = None
    unknown: list[str] = field(default_factory=list)
    features: dict[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    request_time: int = 0


def named_history(vocabulary: Vocabulary, session: Sequence[str]) -> EventHistory:
    """Returns the history of items named by their raw ids.

    Args:
        vocabulary: The item vocabulary.
        session: Raw ids as text, oldest first.

    Returns:
        The known ones, and the others in `unknown`.

    Raises:
        ConfigError: An id is not of the vocabulary's type.
        DataError: None of the items is known.
    """
    indices = vocabulary.lookup([typed_id(item, vocabulary.id_type, "item") for item in session])
    known = indices >= FIRST_INDEX  # [items]
    if not known.any():
        raise DataError(
            f"None of the items {', '.join(f'`{item}`' for item in session)} is in the training data.",
            remedy="Check that these are raw item ids of the log the model was trained on.",
        )
    unknown = [item for item, found in zip(session, known, strict=True) if not found]
    return EventHistory(indices[known], np.zeros(int(known.sum()), np.int64), unknown=unknown)


def user_history(dataset: InteractionDataset, user: str) -> EventHistory:
    """Returns the latest events of a user (or of a session, where the data has no users).

    Splits are searched from test to train, and the first in which the user has a sequence is taken: there it holds the
    latest events and, where the split rule gives history, all earlier ones. Of several sequences in a split, as
    sessions of a user are, the latest counts. The cost is one pass over the `user_id` of the splits searched, batched,
    some 200,000 sequences per second on two cores; other features are parsed for the user's own sequences only.

    Args:
        dataset: An open dataset.
        user: Raw id as text.

    Returns:
        The events; index 1 where the dataset has no index for an item.

    Raises:
        ConfigError: The id is not of the dataset's type.
        DataError: No split has the user; the closest ids are named where that is cheap.
    """
    columns = dataset.manifest.columns
    wanted = typed_id(user, columns.user_id_type, "user" if columns.user else "session")
    vocabulary = dataset.vocabulary("user") if "user" in dataset.manifest.vocabularies else None
    index = None if vocabulary is None else int(vocabulary.lookup([wanted])[0])
    for split in reversed(dataset.splits):  # users without training events are in no vocabulary: look at all of them
        found = _latest_sequence(dataset, split, wanted)
        if found is not None:
            items, timestamps, features = found
            return EventHistory(items, timestamps, user=index, split=split, features=features)
    what = "user" if columns.user else "session"
    close = [] if vocabulary is None or vocabulary.size > _MOST_COMPARED else _closest(user, vocabulary)
    hint = f"Close to it: {', '.join(f'`{identity}`' for identity in close)}." if close else ""
    raise DataError(
        f"No split has the {what} `{user}`.",
        file=dataset.path,
        remedy=hint or f"Check that it is a raw {what} id of the log, or name items with --items.",
    )


def typed_id(text: str, kind: str, what: str) -> Any:
    """Returns a raw id from its text.

    Args:
        text: The id as a user types it.
        kind: `int64` or `string`.
        what: What it is the id of, for messages.

    Raises:
        ConfigError: The text is no int64.
    """
    if kind == "string":
        return text
    try:
        number = int(text)
    except ValueError as error:
        raise ConfigError(f"The {what} ids of this model are integers, received `{text}`.") from error
    if not _INT64.min <= number <= _INT64.max:
        raise ConfigError(f"The {what} ids of this model are int64, received `{text}`.")
    return number


def _latest_sequence(
    dataset: InteractionDataset, split: str, user: Any
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], dict[str, npt.NDArray[np.int32]]] | None:
    spec = dataset.feature_spec

    def own(serialized: tf.Tensor) -> tf.Tensor:
        parsed = tf.io.parse_example(serialized, {"user_id": spec["user_id"]})
        return tf.boolean_mask(serialized, parsed["user_id"] == user)

    records = dataset.records(dataset.shard_paths(split)).batch(_SCAN_BATCH)
    matches = records.map(own, num_parallel_calls=parallel_calls()).unbatch().batch(_SCAN_BATCH)
    best: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], dict[str, npt.NDArray[np.int32]]] | None = None
    names = ("item", "timestamp", *dataset.event_features)
    with dataset.explain_data_loss(split):
        for serialized in with_pipeline_options(matches):
            batch = tf.io.parse_example(serialized, {name: spec[name] for name in names})
            last = tf.reduce_max(batch["timestamp"], axis=1).numpy()  # [sequences]
            latest = len(last) - 1 - int(np.argmax(last[::-1]))
            if best is None or last[latest] >= best[1].max():
                own_events = {name: batch[name][latest].numpy() for name in names}
                features = {name: own_events[name].astype(np.int32) for name in dataset.event_features}
                best = own_events["item"].astype(np.int32), own_events["timestamp"], features
    return best


def _closest(user: str, vocabulary: Vocabulary) -> list[str]:
    return difflib.get_close_matches(user, [str(identity) for identity in vocabulary.ids], n=3, cutoff=0.6)
