"""Ready-made vectors of items beside a dataset: one row per item index, memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.data.dataset import InteractionDataset
from tfrec.data.text_vectors import (
    Provenance,
    TextVectors,
    about_vectors,
    read_vectors,
    text_vectors,
    write_vectors,
)

_FOLDER = "item_vectors"


def write_item_vectors(
    dataset: InteractionDataset,
    name: str,
    ids: Sequence[Any] | npt.NDArray[Any],
    vectors: npt.NDArray[Any],
    *,
    provenance: Provenance = "unknown",
    source: Mapping[str, Any] | None = None,
) -> int:
    """Writes the vectors of a dataset's items, `item_vectors/NAME.npy`; items without one have zeros.

    Args:
        dataset: A local dataset.
        name: Name of the vectors, for example of the model that made them.
        ids: Raw ids of the items, each once.
        vectors: Their vectors, in the same order, float `[items, dim]`; may be memory-mapped.
        provenance: `train_only` when no event outside the training split had a part in them.
        source: How they were made, for reports.

    Returns:
        How many items of the vocabulary have a vector.

    Raises:
        DataError: A vector holds NaN or infinity, an id is there twice, or there are more ids than vectors.
    """
    about = about_vectors(dataset, provenance, source)
    return write_vectors(Path(dataset.path) / _FOLDER, name, dataset.item_vocabulary, ids, vectors, about)


def read_item_vectors(dataset: InteractionDataset, name: str) -> npt.NDArray[np.float32]:
    """Returns vectors by item index, memory-mapped float32 `[vocab_size, dim]`; rows of zeros are missing ones.

    Raises:
        DataError: There are none of this name, or they are those of another vocabulary.
    """
    return read_vectors(Path(dataset.path) / _FOLDER, name, dataset.item_vocabulary, what="item vectors")[0]


def read_item_text(dataset: InteractionDataset, name: str) -> TextVectors:
    """Returns the same vectors with a mask of the items that have one, and where they come from.

    Raises:
        DataError: There are none of this name, or they are those of another vocabulary.
    """
    vocabulary = dataset.item_vocabulary
    vectors, about = read_vectors(Path(dataset.path) / _FOLDER, name, vocabulary, what="item vectors")
    return text_vectors(dataset, name, vectors, about)
