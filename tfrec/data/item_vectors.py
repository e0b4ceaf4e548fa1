"""Ready-made vectors of items beside a dataset: one row per item index, memory-mapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.errors import DataError, did_you_mean
from tfrec.files import write_json

_FOLDER = "item_vectors"
_ROWS_AT_ONCE = 1 << 14


def write_item_vectors(
    dataset: InteractionDataset, name: str, ids: list[Any] | npt.NDArray[Any], vectors: npt.NDArray[Any]
) -> int:
    """Writes the vectors of a dataset's items, `item_vectors/NAME.npy`; items without one have zeros.

    Args:
        dataset: A local dataset.
        name: Name of the vectors, for example of the model that made them.
        ids: Raw ids of the items.
        vectors: Their vectors, in the same order, float `[items, dim]`; may be memory-mapped.

    Returns:
        How many items of the vocabulary have a vector.

    Raises:
        DataError: A vector holds NaN or infinity, or there are more ids than vectors.
    """
    if len(ids) != len(vectors):
        raise DataError(f"There are {len(ids)} ids and {len(vectors)} vectors of `{name}`.")
    vocabulary = dataset.item_vocabulary
    folder = Path(dataset.path) / _FOLDER
    folder.mkdir(exist_ok=True)
    temporary = folder / f"{name}.partial.npy"
    found = np.lib.format.open_memmap(temporary, "w+", np.float32, (vocabulary.size, int(vectors.shape[1])))
    known = np.zeros(vocabulary.size, np.bool_)
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        part = np.asarray(vectors[start : start + _ROWS_AT_ONCE], np.float32)
        if not np.isfinite(part).all():
            raise DataError(f"Some vectors of `{name}` hold NaN or infinity.", remedy="Leave these items out.")
        index = vocabulary.lookup(ids[start : start + _ROWS_AT_ONCE])
        inside = index >= FIRST_INDEX
        found[index[inside]] = part[inside]
        known[index[inside]] = True
    found.flush()
    del found
    about = {"dim": int(vectors.shape[1]), "items": int(known.sum()), "vocabulary": vocabulary.content_hash}
    write_json(folder / f"{name}.json", about)
    temporary.replace(folder / f"{name}.npy")
    return int(known.sum())


def read_item_vectors(dataset: InteractionDataset, name: str) -> npt.NDArray[np.float32]:
    """Returns vectors by item index, memory-mapped float32 `[vocab_size, dim]`; rows of zeros are missing ones.

    Raises:
        DataError: There are none of this name, or they are those of another vocabulary.
    """
    folder = Path(dataset.path) / _FOLDER
    names = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
    if name not in names:
        raise DataError(
            f"The dataset has no item vectors `{name}`.", file=dataset.path, remedy=did_you_mean(name, names)
        )
    about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    vectors: npt.NDArray[np.float32] = np.load(folder / f"{name}.npy", mmap_mode="r")
    vocabulary = dataset.item_vocabulary
    if about["vocabulary"] != vocabulary.content_hash or len(vectors) != vocabulary.size:
        raise DataError(
            f"The item vectors `{name}` are those of another vocabulary.",
            file=str(folder / f"{name}.npy"),
            remedy="Write them again.",
        )
    return vectors
