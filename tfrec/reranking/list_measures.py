"""What lists are besides accurate: diverse, new, and like what their user had before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.reranking.calibration import divergence
from tfrec.reranking.greedy_lists import Floats

Items = NDArray[np.int32]


def intra_list_diversity(items: Items, vectors: NDArray[np.floating[Any]]) -> Floats:
    """Returns the mean cosine distance of every two items of a list.

    Args:
        items: Item indices, -1 where a list ends early, `[lists, length]`.
        vectors: Of length 1 or, where an item has none, 0, `[vocab, dim]`.

    Returns:
        float `[lists]`, 0 for equal items, 1 for unrelated ones; NaN for lists with fewer than two items that have a
        vector.

    Reference:
        Smyth and McClave, "Similarity vs. diversity", ICCBR 2001.
    """
    found = np.where((items >= 0)[:, :, np.newaxis], vectors[items], 0.0).astype(np.float64)  # [lists, length, dim]
    squares = (found**2).sum(axis=2)  # [lists, length]
    number = (squares > 0).sum(axis=1)
    pairs = number * (number - 1) / 2
    similar = ((found.sum(axis=1) ** 2).sum(axis=1) - squares.sum(axis=1)) / 2  # sum of cosines over pairs, [lists]
    return np.where(pairs > 0, 1 - similar / np.maximum(pairs, 1), np.nan)


def mean_novelty(items: Items, novelty: Floats) -> Floats:
    """Returns the mean novelty of the items of a list, `[lists]`; NaN for empty lists.

    Args:
        items: Item indices, -1 where a list ends early, `[lists, length]`.
        novelty: By item index, see `item_novelty`.
    """
    inside = items >= 0
    number = inside.sum(axis=1)
    return np.where(number > 0, np.where(inside, novelty[items], 0.0).sum(axis=1) / np.maximum(number, 1), np.nan)


def list_divergence(items: Items, categories: Floats, wanted: Floats) -> Floats:
    """Returns how far the categories of a list are from those of the history of its user, `[lists]`.

    Args:
        items: Item indices, -1 where a list ends early, `[lists, length]`.
        categories: Shares by item index, `[vocab, categories]`.
        wanted: Shares in the history, `[lists, categories]`.

    Returns:
        Nats, `[lists]`; NaN without a history.
    """
    found = np.where((items >= 0)[:, :, np.newaxis], categories[items], 0.0)  # [lists, length, categories]
    number = (found.sum(axis=2) > 0).sum(axis=1)
    shares = found.sum(axis=1) / np.maximum(number, 1)[:, np.newaxis]
    return np.where(wanted.sum(axis=1) > 0, divergence(wanted, shares), np.nan)


def ranks_in_lists(items: Items, target: NDArray[np.integer[Any]]) -> Floats:
    """Returns the place of the target in its list, 1 for the first one, infinite when it is not there, `[lists]`."""
    hit = items == target[:, np.newaxis]  # [lists, length]
    return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1.0, np.inf)
