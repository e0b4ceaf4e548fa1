"""Vectors of both windows of every user of a split, of a model and of what it has to beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.user_windows import WindowOptions, keep_rows, user_pairs
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.models.window_pair_encoder import SIDES, WindowPairEncoder

BASELINES = ("mean_pooling", "category_counts", "item_counts")
_BATCH = 256
_DRAW_SEED = 0

Vectors = dict[str, Any]
"""float32 `[users, dim]` by side; of baselines that count, sparse."""


@dataclass(frozen=True)
class UserVectors:
    """Users with both windows.

    Attributes:
        owner: Equal for rows of the same user, `[users]`.
        model: Vectors of the model by side, `[users, dim]`.
        pooled: Mean of the model's event vectors by side, `[users, width]`.
        counts: Events by item and by category, `item` and names of categories, then by side: sparse `[users, values]`.
    """

    owner: NDArray[np.int64]
    model: Vectors
    pooled: Vectors
    counts: dict[str, dict[str, Any]]


def model_vectors(
    model: WindowPairEncoder, dataset: InteractionDataset, split: str, most: int | None = None
) -> tuple[NDArray[np.int64], Vectors]:
    """Returns whom rows belong to, `[users]`, and the vectors of the model by side; arguments as of `user_vectors`."""
    owners, parts = [], []
    for pair in _pairs(model.windows, dataset, split, most):
        owners.append(pair["owner"].numpy())
        parts.append(model.pair_graph(pair).numpy())
    joined = np.concatenate(parts)  # [users, 2, dim]
    return np.concatenate(owners), {side: joined[:, number] for number, side in enumerate(SIDES)}


def user_vectors(
    model: WindowPairEncoder, dataset: InteractionDataset, split: str, most: int | None = None
) -> UserVectors:
    """Encodes the users of a split; those without a short window are left out.

    Args:
        model: A trained model.
        dataset: The data.
        split: Name of the split.
        most: Where there are more, so many are drawn: the same ones in every run. Default: all.
    """
    owners: list[Any] = []
    encoded: list[Any] = []
    pooled: dict[str, list[Any]] = {side: [] for side in SIDES}
    names = ("item", *model.categories)
    counts: dict[str, dict[str, list[Any]]] = {name: {side: [] for side in SIDES} for name in names}
    tables = {name: table.numpy() for name, table in model.categories.items()}
    sizes = {"item": model.vocab_size, **{name: int(table.max()) + 1 for name, table in tables.items()}}
    for pair in _pairs(model.windows, dataset, split, most):
        owners.append(pair["owner"].numpy())
        encoded.append(model.pair_graph(pair).numpy())
        for side in SIDES:
            pooled[side].append(model.pooled_graph(pair[side]).numpy())
            item = pair[side]["item"].numpy()
            for name in names:
                values = item if name == "item" else tables[name][item]
                counts[name][side].append(_counted(values, item >= FIRST_INDEX, sizes[name]))
    joined = np.concatenate(encoded)
    return UserVectors(
        np.concatenate(owners),
        {side: joined[:, number] for number, side in enumerate(SIDES)},
        {side: np.concatenate(parts) for side, parts in pooled.items()},
        {name: {side: scipy.sparse.vstack(parts).tocsr() for side, parts in of.items()} for name, of in counts.items()},
    )


def has_rivals(windows: WindowOptions, dataset: InteractionDataset, split: str, most: int | None = None) -> bool:
    """Returns whether a split has two users with both windows, without whom nothing can be compared.

    Args:
        windows: How the events of a user are cut.
        dataset: The data; it is read until a second user is found.
        split: Name of the split.
        most: See `user_vectors`.
    """
    found: set[int] = set()
    for pair in _pairs(windows, dataset, split, most):
        found.update(pair["owner"].numpy().tolist())
        if len(found) > 1:
            return True
    return False


def baseline_vectors(users: UserVectors) -> Iterator[tuple[str, Vectors]]:
    """Yields vectors without towers: name of the baseline and vectors by side; made one by one, for they are wide.

    * `mean_pooling`: the mean of the model's own event vectors, less the mean over all users: without that, what all
      users have in common hides what they differ in.
    * `category_counts`, `item_counts`: how often each category or item occurs, weighed down by the number of users that
      have it (tf-idf of the long windows); sparse, for there may be millions of items.
    """
    yield "mean_pooling", {side: vectors - vectors.mean(axis=0) for side, vectors in users.pooled.items()}
    names = [name for name in users.counts if name != "item"]
    chosen = {"category_counts": names[0]} if names else {}
    for baseline, name in {**chosen, "item_counts": "item"}.items():
        long = users.counts[name]["long"]
        idf = np.log((1.0 + long.shape[0]) / (1.0 + np.asarray((long > 0).sum(axis=0))[0])) + 1.0
        idf = idf.astype(np.float32)[np.newaxis]
        yield baseline, {side: matrix.multiply(idf).tocsr() for side, matrix in users.counts[name].items()}


def _pairs(
    windows: WindowOptions, dataset: InteractionDataset, split: str, most: int | None
) -> Iterator[Mapping[str, Any]]:
    with dataset.explain_data_loss(split):
        for pair in user_pairs(dataset, split, _BATCH, windows, _drawn(dataset.num_sequences(split), most)):
            yield keep_rows(pair, pair["short"]["length"] > 0)


def _drawn(count: int, most: int | None) -> NDArray[np.bool_] | None:
    if most is None or count <= most:
        return None
    kept = np.zeros(count, np.bool_)
    kept[np.random.default_rng(_DRAW_SEED).choice(count, most, replace=False, shuffle=False)] = True
    return kept


def _counted(values: NDArray[Any], real: NDArray[np.bool_], size: int) -> Any:
    rows = np.nonzero(real)[0]
    ones = np.ones(len(rows), np.float32)
    return scipy.sparse.csr_matrix((ones, (rows, values[real])), shape=(len(values), size))
