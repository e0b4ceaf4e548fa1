"""Texts, ready vectors or means of items into vectors beside a dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_text, write_item_vectors
from tfrec.data.remote_paths import scheme_of
from tfrec.data.text_vectors import Provenance, as_ids_of, training_fingerprint
from tfrec.data.user_vectors import user_vocabulary, write_user_vectors
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.errors import ConfigError, DataError
from tfrec.files import size_and_sha256
from tfrec.text.mean_of_items import mean_of_items
from tfrec.text.text_encoder import TextEncoder
from tfrec.text.texts import Texts, read_texts
from tfrec.text.vector_file import read_vector_file

Of = Literal["items", "users"]
_TEXTS_AT_ONCE = 1024


def encode_texts(
    dataset: InteractionDataset,
    of: Of,
    name: str,
    texts: Path,
    encoder: TextEncoder,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Turns a file of texts into vectors beside a dataset.

    Texts that tfrec made from the training split of this very dataset are `train_only`; all others are `unknown`,
    also those made from another split of the same log.

    Args:
        dataset: A local dataset.
        of: Whose texts.
        name: Name of the vectors.
        texts: The file, see `read_texts`.
        encoder: The encoder.
        progress: Called with the number of texts that are done, and of all.

    Returns:
        What was written: `name`, `of`, `given`, `known`, `missing`, `dim`, `provenance` and `source`.
    """
    found = _texts_of(of, texts)
    fits = found.training_data == training_fingerprint(dataset)
    provenance: Provenance = "train_only" if found.provenance == "train_only" and fits else "unknown"
    with texts.open("rb") as file:
        source = {**encoder.describe(), "file": texts.name, "sha256": size_and_sha256(file)[1], "texts": found.source}
    with tempfile.TemporaryDirectory(prefix="tfrec-text-") as folder:
        shape = (len(found), encoder.dim)
        vectors = np.lib.format.open_memmap(Path(folder) / "vectors.npy", "w+", np.float32, shape)
        for start in range(0, len(found), _TEXTS_AT_ONCE):
            part = found.texts[start : start + _TEXTS_AT_ONCE]
            vectors[start : start + len(part)] = encoder.encode(part)
            progress(start + len(part), len(found))
        return _write(dataset, of, name, found.ids, vectors, provenance, source)


def take_vectors(dataset: InteractionDataset, of: Of, name: str, vectors: Path) -> dict[str, Any]:
    """Puts the vectors of a file beside a dataset; their provenance is `unknown`.

    Args:
        dataset: A local dataset.
        of: Whose vectors.
        name: Name of the vectors.
        vectors: The file, see `read_vector_file`.

    Returns:
        As `encode_texts`.
    """
    ids, matrix = read_vector_file(vectors)
    with vectors.open("rb") as file:
        source = {"encoder": "file", "file": vectors.name, "sha256": size_and_sha256(file)[1]}
    return _write(dataset, of, name, ids, matrix, "unknown", source)


def take_means(
    dataset: InteractionDataset, name: str, item_vectors: str, *, last: int | None = None, skip_last: int = 0
) -> dict[str, Any]:
    """Makes vectors of users of the vectors of their training items; see `mean_of_items`.

    Returns:
        As `encode_texts`.
    """
    ids, matrix = mean_of_items(dataset, item_vectors, last=last, skip_last=skip_last)
    items = read_item_text(dataset, item_vectors)
    source = {
        "encoder": "mean_of_items",
        "item_vectors": item_vectors,
        "last": last,
        "skip_last": skip_last,
        "items": dict(items.source),
    }
    return _write(dataset, "users", name, ids, matrix, "train_only", source)


def check_source(dataset: InteractionDataset, of: Of, name: str, kind: str, given: Any) -> dict[str, int]:
    """Reads what vectors are to be made of, and writes nothing.

    Args:
        dataset: A local dataset.
        of: Whose vectors.
        name: Name of the vectors.
        kind: What `given` is: `texts` or `vectors`, a file, or `mean-of`, the name of vectors of items.
        given: The file, or the name.

    Returns:
        `given`, how many texts or vectors there are, and of a file `known`, how many of them are of the dataset.

    Raises:
        ConfigError: The texts are those of others than `of`.
        DataError: As `encode_texts`, `take_vectors` and `take_means`, but for the values of the vectors.
    """
    if kind == "mean-of":
        return {"given": int(read_item_text(dataset, given).known.sum())}
    ids: Any = _texts_of(of, given).ids if kind == "texts" else read_vector_file(given)[0]
    return {"given": len(ids), "known": _count_known(dataset, of, name, ids)}


def check_target(dataset: InteractionDataset, of: Of) -> None:
    """Raises ConfigError when vectors cannot be written: the dataset is remote, or has no users."""
    if scheme_of(dataset.path):
        raise ConfigError(
            f"`{scheme_of(dataset.path)}://`: vectors are written beside local datasets only.",
            remedy="Copy the dataset to this machine first.",
        )
    if of == "users":
        user_vocabulary(dataset)


def _write(
    dataset: InteractionDataset,
    of: Of,
    name: str,
    ids: Any,
    vectors: npt.NDArray[np.float32],
    provenance: Provenance,
    source: dict[str, Any],
) -> dict[str, Any]:
    check_target(dataset, of)
    vocabulary = dataset.item_vocabulary if of == "items" else user_vocabulary(dataset)
    write = write_item_vectors if of == "items" else write_user_vectors
    _count_known(dataset, of, name, ids)
    known = write(dataset, name, ids, vectors, provenance=provenance, source=source)
    return {
        "name": name,
        "of": of,
        "given": len(ids),
        "known": known,
        "missing": vocabulary.size - FIRST_INDEX - known,
        "dim": int(vectors.shape[1]),
        "provenance": provenance,
        "source": source,
    }


def _texts_of(of: Of, path: Path) -> Texts:
    """Returns the texts of a file that are not blank; ConfigError where the file says that they are of others."""
    found = read_texts(path).present()
    if found.source.get("of", of) != of:
        raise ConfigError(f"`{path}` holds texts of {found.source['of']}, not of {of}.", remedy="Check --of.")
    return found


def _count_known(dataset: InteractionDataset, of: Of, name: str, ids: Any) -> int:
    """Returns how many ids are of the dataset; DataError where none is."""
    vocabulary = dataset.item_vocabulary if of == "items" else user_vocabulary(dataset)
    if not len(ids):
        raise DataError(f"Not one of the {of} has a vector `{name}`.", remedy="Check the texts and --skip-last.")
    known = int((vocabulary.lookup(as_ids_of(vocabulary, ids)) >= FIRST_INDEX).sum())
    if not known:
        raise DataError(
            f"Not one id of `{name}` is an id of the {of} of the dataset, for example `{ids[0]}`.",
            remedy="The ids must be those of the log that was converted.",
        )
    return known
