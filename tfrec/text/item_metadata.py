"""What is known of items in words: title, year and categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_features import ItemFeatures
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.errors import ConfigError, did_you_mean

_YEARS = ("year", "release_year")
_CATEGORIES = ("genres", "genre", "categories", "category")


@dataclass(frozen=True)
class ItemMetadata:
    """Words by item index; rows 0 and 1, and items without a row in the item file, are empty.

    Attributes:
        titles: Titles.
        years: Years; 0 where unknown.
        categories: Values of the category feature.
        category_name: Name of that feature; empty when there is none.
    """

    titles: list[str]
    years: list[int]
    categories: list[tuple[str, ...]]
    category_name: str

    def named(self, index: int) -> str:
        """Returns title and year, `Heat (1995)`; empty without a title."""
        title = self.titles[index]
        return f"{title} ({self.years[index]})" if title and self.years[index] else title


def read_item_metadata(dataset: InteractionDataset, *, category: str = "", year: str = "") -> ItemMetadata:
    """Reads titles, years and categories of all items.

    Args:
        dataset: A dataset converted with item files.
        category: Feature (list or category) that says what an item is. Default: `genres`, `genre`, `categories` or
            `category`, else the first list or category.
        year: Number that is the year. Default: `year` or `release_year`, if there is one.

    Raises:
        ConfigError: The dataset has no item features, none of that name, or neither titles nor categories.
    """
    features = dataset.item_features()
    kinds = [*features.lists, *features.categories]
    category = category or next((name for name in _CATEGORIES if name in kinds), kinds[0] if kinds else "")
    year = year or next((name for name in _YEARS if name in features.numbers), "")
    for name, known in ((category, kinds), (year, list(features.numbers))):
        if name and name not in known:
            raise ConfigError(f"The items have no such feature `{name}`.", remedy=did_you_mean(name, known))
    if features.titles is None and not category:
        raise ConfigError("The items have neither titles nor categories.", remedy="Convert the log with --items FILE.")
    titles = [""] * features.size if features.titles is None else [str(title).strip() for title in features.titles]
    years = [0] * features.size
    if year:
        found = features.numbers[year]  # [size]
        years = np.where(np.isfinite(found), found, 0).astype(np.int64).tolist()
    return ItemMetadata(titles, years, _category_words(dataset, features, category), category)


def _category_words(dataset: InteractionDataset, features: ItemFeatures, category: str) -> list[tuple[str, ...]]:
    if not category:
        return [()] * dataset.item_vocabulary.size
    words = [str(value) for value in dataset.vocabulary(category).ids]
    if category in features.categories:
        values = features.categories[category].tolist()
        return [(words[value - FIRST_INDEX],) if value >= FIRST_INDEX else () for value in values]
    lists = features.lists[category]
    rows = np.split(lists.values, lists.offsets[1:-1])
    return [tuple(words[value - FIRST_INDEX] for value in row if value >= FIRST_INDEX) for row in rows]
