"""What re-ranking knows of items: vectors that say what is alike, and categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.config.rerank_config import RerankConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_vectors
from tfrec.errors import ConfigError, did_you_mean
from tfrec.evaluation.scored_batches import item_factors
from tfrec.evaluation.scorer import Scorer


@dataclass(frozen=True)
class ItemLikeness:
    """Items as re-ranking sees them.

    Attributes:
        vectors: Of length 1, or 0 where nothing is known, float32 `[vocab, dim]`; None when there are none.
        vectors_of: What they are, for people.
        categories: Shares of the categories of every item, float64 `[vocab, categories]`; None when there are none.
        category: Name of that feature.
    """

    vectors: NDArray[np.float32] | None
    vectors_of: str
    categories: NDArray[np.float64] | None
    category: str


def item_likeness(scorer: Scorer, dataset: InteractionDataset, settings: RerankConfig) -> ItemLikeness:
    """Finds what a data set, or else a model, says of items.

    Args:
        scorer: The model; its item vectors are taken when the data set has neither vectors nor categories.
        dataset: The data.
        settings: Names the vectors and the category.

    Raises:
        ConfigError: A method needs what is not there, or a feature of that name does not exist.
        DataError: There are no vectors of that name.
    """
    category, categories = _categories(dataset, settings)
    vectors: NDArray[Any] | None = None
    what = ""
    if settings.vectors:
        vectors, what = read_item_vectors(dataset, settings.vectors), f"item vectors `{settings.vectors}`"
    elif categories is not None:
        vectors, what = (categories > 0).astype(np.float32), f"values of `{category}`"
    elif (factors := item_factors(scorer)) is not None:
        vectors, what = factors[0].numpy(), "item vectors of the model"
    for method, missing in (("mmr", vectors is None), ("calibration", categories is None)):
        if method in settings.methods and missing:
            raise ConfigError(
                f"Re-ranking by `{method}` needs to know something of the items, and there is nothing.",
                remedy="Convert the log with --items FILE, or leave the method out"
                + (", or name item vectors (evaluation.rerank.vectors)." if method == "mmr" else "."),
            )
    return ItemLikeness(None if vectors is None else _unit(vectors), what, categories, category)


def _categories(dataset: InteractionDataset, settings: RerankConfig) -> tuple[str, NDArray[np.float64] | None]:
    features = dataset.item_features() if dataset.has_item_features else None
    known = [] if features is None else [*features.lists, *features.categories]
    if settings.category and settings.category not in known:
        raise ConfigError(
            f"`evaluation.rerank.category`: the items have no list or category `{settings.category}`.",
            remedy=did_you_mean(settings.category, known),
        )
    name = settings.category or (known[0] if known else "")
    if features is None or not name:
        return "", None
    shares = np.zeros((features.size, features.vocabulary_sizes[name]))
    if name in features.lists:
        rows = features.lists[name]
        shares[np.repeat(np.arange(features.size), np.diff(rows.offsets)), rows.values] = 1.0
    else:
        shares[np.arange(features.size), features.categories[name]] = 1.0
    shares = shares[:, 2:]  # [vocab, categories], without missing and unseen values
    return name, shares / np.maximum(shares.sum(axis=1, keepdims=True), 1.0)


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    found = np.asarray(vectors, np.float32).copy()
    found[:2] = 0.0
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return found
