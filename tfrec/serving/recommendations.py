"""What `tfrec.recommend` shows: a history and the best items after it, from the model of a run or from a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_history import EventHistory, named_history, typed_id, user_history
from tfrec.errors import ConfigError, DataError, ServingError
from tfrec.serving.client import RecommenderClient
from tfrec.serving.client.id_arrays import UNKNOWN_ID
from tfrec.serving.client.results import LOWEST_SCORE
from tfrec.training import model_store
from tfrec.training.top_items import top_items


@dataclass(frozen=True)
class ShownItem:
    """An item of a history or a list.

    Attributes:
        item: Raw id; None for an item that the data have no index for.
        title: Its title; None without one.
        score: Score of the model; None in a history.
    """

    item: Any
    title: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Recommendations:
    """A history and the best items after it.

    Attributes:
        history: Events, oldest first.
        ranked: The best items, best first.
        has_titles: Whether the data have titles.
        split: The split the history was found in; None when it was named.
        unknown: Raw ids that were passed over because the data do not have them.
    """

    history: list[ShownItem]
    ranked: list[ShownItem]
    has_titles: bool = False
    split: str | None = None
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Question:
    """Whom to recommend for, and what.

    Attributes:
        k: Number of items.
        user: Raw id of a user or session, as text; None when items are named.
        items: Raw ids of the history, as text, oldest first.
        include_seen: Also recommend items of the history.
    """

    k: int
    user: str | None = None
    items: Sequence[str] = ()
    include_seen: bool = False

    def history(self, dataset: InteractionDataset) -> EventHistory:
        """Returns the events before the recommendation."""
        if self.user is None:
            return named_history(dataset.item_vocabulary, self.items)
        return user_history(dataset, self.user)


def recommend_offline(question: Question, run: Path, data: str | None = None) -> Recommendations:
    """Answers from the model of a run directory.

    Args:
        question: Whom to recommend for.
        run: Run directory.
        data: Dataset to find the user in. Default: the one of the run.

    Returns:
        The history and the best items after it.

    Raises:
        ConfigError, DataError: The run, the data, the user or the items are not there.
    """
    loaded = model_store.load_run(run)
    dataset = loaded.open_dataset(data)
    history = question.history(dataset)
    ranked = top_items(
        loaded.model,
        dataset.item_vocabulary,
        history,
        question.k,
        include_seen=question.include_seen,
        with_users="user" in dataset.manifest.vocabularies,
    )
    return _shown(dataset, history, [(top.item, top.score) for top in ranked])


def recommend_served(
    question: Question, client: RecommenderClient, *, run: Path | None = None, data: str | None = None
) -> Recommendations:
    """Answers from a model server; a run or a dataset, where given, has the user's history and the titles.

    Args:
        question: Whom to recommend for.
        client: Where the model is served.
        run: Run directory, for its dataset. Default: none.
        data: Dataset. Default: the one of the run, if any.

    Returns:
        The history and the best items after it.

    Raises:
        ConfigError, DataError: The run, the data, the user or the items are not there.
        ServingError: The server does not answer.
    """
    if run is None and data is None:
        return _served_without_data(question, client)
    dataset = model_store.load_run(run).open_dataset(data) if run is not None else InteractionDataset.open(str(data))
    history = question.history(dataset)
    vocabulary = dataset.item_vocabulary
    users = dataset.vocabulary("user").raw([history.user]) if history.user is not None else [None]
    ranked = client.recommend(
        [UNKNOWN_ID[vocabulary.id_type] if item is None else item for item in vocabulary.raw(history.items)],
        question.k,
        exclude_history=not question.include_seen,
        timestamps=history.timestamps.tolist(),
        user=users[0],
        event_features={name: _raw_values(dataset, name, values) for name, values in history.features.items()},
    )
    return _shown(dataset, history, [(found.item, found.score) for found in ranked])


def _raw_values(dataset: InteractionDataset, name: str, indices: NDArray[np.int32]) -> list[Any]:
    """Raw values of a feature of events; those without one, and those of no training event, are not told."""
    vocabulary = dataset.vocabulary(name)
    return [UNKNOWN_ID[vocabulary.id_type] if value is None else value for value in vocabulary.raw(indices)]


def _served_without_data(question: Question, client: RecommenderClient) -> Recommendations:
    if question.user is not None:
        raise ConfigError(
            "`--user` needs the data that hold the user's history.",
            remedy="Give them by --run RUN or --data DS, or name items with --items.",
        )
    items = [typed_id(item, client.metadata().id_type, "item") for item in question.items]
    known = _known_to(client, items)
    if not any(known):
        raise DataError(
            f"The served model knows none of the items {', '.join(f'`{item}`' for item in question.items)}.",
            remedy="Check that these are raw item ids of the log the model was trained on.",
        )
    history = [item for item, found in zip(items, known, strict=True) if found]
    ranked = client.recommend(history, question.k, exclude_history=not question.include_seen)
    return Recommendations(
        [ShownItem(item) for item in history],
        [ShownItem(top.item, None, top.score) for top in ranked],
        unknown=[text for text, found in zip(question.items, known, strict=True) if not found],
    )


def _known_to(client: RecommenderClient, items: Sequence[Any]) -> list[bool]:
    """Returns which raw ids a served model knows: to the others it gives the lowest score that there is."""
    try:
        scores = client.score([[]], [items])[0]
    except ServingError as error:
        if error.code != "NOT_FOUND":
            raise
        return [True] * len(items)  # a model without this signature does not tell
    return [bool(score > LOWEST_SCORE) for score in scores]


def _shown(dataset: InteractionDataset, history: EventHistory, ranked: Sequence[tuple[Any, float]]) -> Recommendations:
    vocabulary = dataset.item_vocabulary
    titles = dataset.item_features().titles if dataset.has_item_features else None
    best = vocabulary.lookup([item for item, _ in ranked]) if ranked else np.zeros(0, np.int32)

    def title(index: int) -> str | None:
        return None if titles is None else titles[index] or None

    raw = vocabulary.raw(history.items)
    return Recommendations(
        [ShownItem(item, title(index)) for item, index in zip(raw, history.items, strict=True)],
        [ShownItem(item, title(index), score) for (item, score), index in zip(ranked, best, strict=True)],
        titles is not None,
        history.split,
        history.unknown,
    )
