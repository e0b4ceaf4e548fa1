"""Ready-made vectors of users beside a dataset: one row per user index, memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tfrec.data.dataset import InteractionDataset
from tfrec.data.text_vectors import (
    Provenance,
    TextVectors,
    about_vectors,
    read_vectors,
    text_vectors,
    vector_names,
    write_vectors,
)
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError
from tfrec.public_url import public_url

_FOLDER = "user_vectors"


def write_user_vectors(
    dataset: InteractionDataset,
    name: str,
    ids: Sequence[Any] | npt.NDArray[Any],
    vectors: npt.NDArray[Any],
    *,
    provenance: Provenance,
    source: Mapping[str, Any] | None = None,
) -> int:
    """Writes the vectors of a dataset's users, `user_vectors/NAME.npy`; users without one have zeros.

    Args:
        dataset: A local dataset with a user column.
        name: Name of the vectors.
        ids: Raw ids of the users, each once.
        vectors: Their vectors, in the same order, float `[users, dim]`; may be memory-mapped.
        provenance: `train_only` only when they were made from events of the training split and of no other.
        source: How they were made, for reports.

    Returns:
        How many users of the vocabulary have a vector.

    Raises:
        ConfigError: The dataset has no users.
        DataError: A vector holds NaN or infinity, an id is there twice, or there are more ids than vectors.
    """
    about = about_vectors(dataset, provenance, source)
    return write_vectors(Path(dataset.path) / _FOLDER, name, user_vocabulary(dataset), ids, vectors, about)


def read_user_vectors(dataset: InteractionDataset, name: str) -> TextVectors:
    """Returns vectors by user index, the feature `user` of sequence batches, memory-mapped float32 `[users, dim]`.

    Args:
        dataset: A local dataset with a user column.
        name: Name of the vectors.

    Raises:
        ConfigError: The dataset has no users.
        DataError: There are none of this name, or they are those of another vocabulary.

    Example:
        >>> users = read_user_vectors(dataset, "mean_of_items")  # doctest: +SKIP
        >>> tf.gather(users.vectors, batch["user"])  # doctest: +SKIP
    """
    vectors, about = read_vectors(Path(dataset.path) / _FOLDER, name, user_vocabulary(dataset), what="user vectors")
    return text_vectors(dataset, name, vectors, about)


def user_vector_names(dataset: InteractionDataset) -> list[str]:
    """Returns the names of the vectors of users that a dataset has."""
    return vector_names(Path(dataset.path) / _FOLDER)


def user_vocabulary(dataset: InteractionDataset) -> Vocabulary:
    """Returns the vocabulary of users.

    Raises:
        ConfigError: The dataset has none.
    """
    if "user" not in dataset.manifest.vocabularies:
        raise ConfigError(
            f"The dataset `{public_url(dataset.path)}` has no users.", remedy="Convert the log with --user-col COLUMN."
        )
    return dataset.vocabulary("user")
