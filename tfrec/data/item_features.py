"""Side features (and titles) of items or users, as arrays by index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.data.manifest import ItemFeatureRecord, ItemsRecord
from tfrec.data.vocabulary import FIRST_INDEX, PADDING_INDEX


@dataclass(frozen=True)
class RaggedRows:
    """Rows of different lengths; row n holds `values[offsets[n] : offsets[n + 1]]`.

    Attributes:
        values: int32 `[values]`.
        offsets: int64 `[rows + 1]`.
    """

    values: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, number: int) -> npt.NDArray[np.int32]:
        """Returns one row, int32 `[length]`."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]

    def padded(self, max_length: int | None = None) -> npt.NDArray[np.int32]:
        """Returns the rows padded with 0 on the right, int32 `[rows, longest]`.

        Args:
            max_length: Keep the first so many values of each row; None = all.
        """
        lengths = np.diff(self.offsets)  # [rows]
        longest = int(lengths.max(initial=0))
        width = longest if max_length is None else min(longest, max_length)
        place = np.arange(len(self.values)) - np.repeat(self.offsets[:-1], lengths)  # [values]
        kept = place < width
        table = np.full((len(lengths), width), PADDING_INDEX, np.int32)  # [rows, width]
        table[np.repeat(np.arange(len(lengths)), lengths)[kept], place[kept]] = self.values[kept]
        return table


@dataclass(frozen=True)
class ItemFeatures:
    """Side features of all items, or of all users; every array has one row per index.

    Rows 0 (padding) and 1 (out of vocabulary), and items without a row in the item file, have no features: 0, empty
    lists and NaN. Cold items, which have no training event, are rows like others.

    Attributes:
        size: Number of item indices, `dataset.item_vocabulary.size`.
        known: Whether the item file has the item, bool `[size]`.
        categories: Value index by feature, int32 `[size]`; 0 = missing, 1 = a value that no training item has.
        lists: Distinct value indices by feature, `[size]` rows.
        numbers: Values by feature, float32 `[size]`; NaN = missing.
        titles: Titles, object (str) `[size]`, empty where there is none; None without a title column.
        vocabulary_sizes: Number of value indices of each category and list, 0 and 1 included.
        statistics: Mean, standard deviation and range of each number over the training items.

    Example:
        >>> features = dataset.item_features()  # doctest: +SKIP
        >>> tf.gather(features.categories["brand"], items)  # doctest: +SKIP
    """

    size: int
    known: npt.NDArray[np.bool_]
    categories: Mapping[str, npt.NDArray[np.int32]]
    lists: Mapping[str, RaggedRows]
    numbers: Mapping[str, npt.NDArray[np.float32]]
    titles: npt.NDArray[Any] | None
    vocabulary_sizes: Mapping[str, int]
    statistics: Mapping[str, ItemFeatureRecord]

    def standardized(self, name: str) -> npt.NDArray[np.float32]:
        """Returns a number with mean 0 and standard deviation 1 over the training items, missing values 0.

        Args:
            name: Name of the number.

        Returns:
            float32 `[size]`; all 0 for a number that is the same everywhere.
        """
        found = self.statistics[name]
        if found.mean is None or not found.std:
            return np.zeros(self.size, np.float32)
        centred = (self.numbers[name].astype(np.float64) - found.mean) / found.std  # [size]
        return np.nan_to_num(centred, nan=0.0).astype(np.float32)

    def as_tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Returns every feature as one dense array: categories int32 `[size]`, lists padded int32 `[size, longest]`,
        numbers standardized float32 `[size]`."""
        dense: dict[str, npt.NDArray[Any]] = dict(self.categories)
        dense.update({name: rows.padded() for name, rows in self.lists.items()})
        dense.update({name: self.standardized(name) for name in self.numbers})
        return dense


def assemble_item_features(
    batches: Iterable[Mapping[str, Any]],
    record: ItemsRecord,
    vocabulary_sizes: Mapping[str, int],
    *,
    known: str = "known",
) -> ItemFeatures:
    """Returns the arrays made of parsed examples.

    Args:
        batches: Parsed examples in the order of their indices: numpy arrays, for lists a pair of values and lengths.
        record: The record of the manifest.
        vocabulary_sizes: Number of indices by feature.
        known: Name of the feature that says whether the files have a row.
    """
    parts: dict[str, list[Any]] = {}
    for batch in batches:
        for name, value in batch.items():
            parts.setdefault(name, []).append(value)
    kinds = {feature.name: feature.kind for feature in record.features}
    lists = {}
    for name in (name for name, kind in kinds.items() if kind == "list"):
        lengths = np.concatenate([np.zeros(FIRST_INDEX, np.int64), *(lengths for _, lengths in parts[name])])  # [size]
        values = np.concatenate([values for values, _ in parts[name]]).astype(np.int32)
        lists[name] = RaggedRows(values, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))
    return ItemFeatures(
        size=record.items + FIRST_INDEX,
        known=_whole(parts[known], 0, np.dtype(bool)),
        categories={n: _whole(parts[n], 0, np.dtype(np.int32)) for n, kind in kinds.items() if kind == "category"},
        lists=lists,
        numbers={n: _whole(parts[n], np.nan, np.dtype(np.float32)) for n, kind in kinds.items() if kind == "number"},
        titles=_titles(parts["title"]) if record.title_column else None,
        vocabulary_sizes={name: vocabulary_sizes[name] for name, kind in kinds.items() if kind != "number"},
        statistics={feature.name: feature for feature in record.features if feature.kind == "number"},
    )


def _whole(parts: list[npt.NDArray[Any]], missing: float, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """All parts after rows for padding and out of vocabulary."""
    return np.concatenate([np.full(FIRST_INDEX, missing), *parts]).astype(dtype)


def _titles(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    texts = [text.decode() for part in parts for text in part]
    titles = np.empty(len(texts) + FIRST_INDEX, object)
    titles[:] = [*[""] * FIRST_INDEX, *texts]
    return titles
