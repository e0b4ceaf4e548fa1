"""Texts without a language model: sentences from title, year and categories, the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tfrec.data.dataset import InteractionDataset
from tfrec.data.text_vectors import training_fingerprint
from tfrec.data.user_vectors import user_vocabulary
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.text.item_metadata import ItemMetadata
from tfrec.text.texts import Texts
from tfrec.text.training_events import recent_items

_CATEGORIES_NAMED = 4


def item_sentence(metadata: ItemMetadata, index: int) -> str:
    """Returns what a template says of an item, for example `Heat (1995). Genres: Action, Crime.`; may be empty."""
    categories = ", ".join(metadata.categories[index])
    parts = [metadata.named(index)]
    if categories:
        parts.append(f"{metadata.category_name.capitalize()}: {categories}")
    return " ".join(f"{part}." for part in parts if part)


def user_sentence(metadata: ItemMetadata, recent: Sequence[int]) -> str:
    """Returns what a template says of a user: his most frequent categories, decade and latest choices; may be empty.

    Args:
        metadata: Words by item index.
        recent: Indices of his items, newest first.
    """
    counts = Counter(word for index in recent for word in metadata.categories[index])
    leading = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:_CATEGORIES_NAMED]
    parts = []
    if leading:
        parts.append("Prefers " + ", ".join(f"{word} ({count} of {len(recent)})" for word, count in leading))
    decades = Counter(metadata.years[index] // 10 * 10 for index in recent if metadata.years[index])
    if decades:
        decade, _ = min(decades.items(), key=lambda entry: (-entry[1], -entry[0]))
        parts.append(f"Mostly from the {decade}s")
    names = [name for name in map(metadata.named, recent) if name]
    if names:
        parts.append("Latest choices: " + "; ".join(names))
    return " ".join(f"{part}." for part in parts)


def item_templates(dataset: InteractionDataset, metadata: ItemMetadata) -> Texts:
    """Returns a text for every item of the vocabulary that something is known of; no event has a part in it."""
    texts = [item_sentence(metadata, index) for index in range(FIRST_INDEX, dataset.item_vocabulary.size)]
    return _vouched(dataset, dataset.item_vocabulary.ids.tolist(), texts, {"generator": "template", "of": "items"})


def user_templates(dataset: InteractionDataset, metadata: ItemMetadata, *, last: int, skip_last: int = 0) -> Texts:
    """Returns a text for every user, from his last training events.

    Args:
        dataset: A dataset with a user column.
        metadata: Words by item index.
        last: How many events a text is made from.
        skip_last: Leave out so many of the latest training events.
    """
    recent = recent_items(dataset, last, skip_last=skip_last)[FIRST_INDEX:]  # [users, last]
    texts = [user_sentence(metadata, row[row > 0].tolist()) for row in recent]
    source = {"generator": "template", "of": "users", "last": last, "skip_last": skip_last}
    return _vouched(dataset, user_vocabulary(dataset).ids.tolist(), texts, source)


def _vouched(dataset: InteractionDataset, ids: list[object], texts: list[str], source: dict[str, object]) -> Texts:
    return Texts(ids, texts, "train_only", training_fingerprint(dataset), source).present()
