"""Vectors of both windows of every user of a split, of a model and of what it has to beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.user_windows import user_pairs
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.models.window_pair_encoder import SIDES, WindowPairEncoder

BASELINES = ("mean_pooling", "category_counts", "item_counts")
_BATCH = 256

Vectors = dict[str, NDArray[np.float32]]


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
    model: WindowPairEncoder, dataset: InteractionDataset, split: str
) -> tuple[NDArray[np.int64], Vectors]:
    """Returns whom rows belong to, `[users]`, and the vectors of the model by side, `[users, dim]`."""
    owners, parts = [], []
    for pair in _pairs(model, dataset, split, None):
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
        most: Take no more than about so many users, in the order of the files. Default: all.
    """
    owners: list[Any] = []
    encoded: list[Any] = []
    pooled: dict[str, list[Any]] = {side: [] for side in SIDES}
    names = ("item", *model.categories)
    counts: dict[str, dict[str, list[Any]]] = {name: {side: [] for side in SIDES} for name in names}
    tables = {name: table.numpy() for name, table in model.categories.items()}
    sizes = {"item": model.vocab_size, **{name: int(table.max()) + 1 for name, table in tables.items()}}
    for pair in _pairs(model, dataset, split, most):
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


def baseline_vectors(users: UserVectors) -> Iterator[tuple[str, Vectors]]:
    """Yields vectors without towers: name of the baseline and vectors by side; made one by one, for they are wide.

    * `mean_pooling`: the mean of the model's own event vectors, less the mean over all users: without that, what all
      users have in common hides what they differ in.
    * `category_counts`, `item_counts`: how often each category or item occurs, weighed down by the number of users that
      have it (tf-idf of the long windows), by a random projection that keeps cosines.
    """
    yield "mean_pooling", {side: vectors - vectors.mean(axis=0) for side, vectors in users.pooled.items()}
    names = [name for name in users.counts if name != "item"]
    chosen = {"category_counts": names[0]} if names else {}
    for baseline, name in {**chosen, "item_counts": "item"}.items():
        long = users.counts[name]["long"]
        idf = np.log((1.0 + long.shape[0]) / (1.0 + np.asarray((long > 0).sum(axis=0))[0])) + 1.0
        yield baseline, {side: _projected(matrix, idf) for side, matrix in users.counts[name].items()}


def _pairs(
    model: WindowPairEncoder, dataset: InteractionDataset, split: str, most: int | None
) -> Iterator[Mapping[str, Any]]:
    seen = 0
    with dataset.explain_data_loss(split):
        for pair in user_pairs(dataset, split, _BATCH, model.windows):
            paired = pair["short"]["length"] > 0
            yield tf.nest.map_structure(lambda values, kept=paired: tf.boolean_mask(values, kept), pair)
            seen += int(tf.reduce_sum(tf.cast(paired, tf.int32)))
            if most is not None and seen >= most:
                return


def _counted(values: NDArray[Any], real: NDArray[np.bool_], size: int) -> Any:
    rows = np.nonzero(real)[0]
    ones = np.ones(len(rows), np.float32)
    return scipy.sparse.csr_matrix((ones, (rows, values[real])), shape=(len(values), size))


def _projected(matrix: Any, idf: NDArray[np.float64], width: int = 2048) -> NDArray[np.float32]:
    weighed = scipy.sparse.csr_matrix(matrix.multiply(idf[np.newaxis]))
    if matrix.shape[1] <= width:
        return np.asarray(weighed.todense(), np.float32)
    random = np.random.default_rng(0)  # one entry of +1 or -1 per value: the count sketch
    place = random.integers(0, width, matrix.shape[1])
    sign = random.choice([-1.0, 1.0], matrix.shape[1])
    sketch = scipy.sparse.csr_matrix((sign, (np.arange(matrix.shape[1]), place)), shape=(matrix.shape[1], width))
    return np.asarray((weighed @ sketch).todense(), np.float32)
