"""Vectors beside a dataset, one row per index of a vocabulary: memory-mapped, with a mask and a mark of provenance."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.errors import ConfigError, DataError, did_you_mean
from tfrec.files import write_json

Provenance = Literal["train_only", "unknown"]

_ROWS_AT_ONCE = 1 << 14
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class TextVectors:
    """Vectors by index of a vocabulary.

    Attributes:
        name: Their name in the dataset.
        vectors: float32 `[vocabulary.size, dim]`, memory-mapped; rows 0, 1 and those of ids without one are zeros.
        provenance: `train_only`: tfrec made them, from events of this dataset's training split and of no other.
            `unknown`: nothing vouches for that; what they are worth on valid and test may be a leak.
        source: How they were made.
    """

    name: str
    vectors: npt.NDArray[np.float32]
    provenance: Provenance
    source: Mapping[str, Any]

    @functools.cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """Whether the index has a vector, bool `[vocabulary.size]`; all vectors are read for it, once."""
        starts = range(0, len(self.vectors), _ROWS_AT_ONCE)
        return np.concatenate([self.vectors[start : start + _ROWS_AT_ONCE].any(axis=1) for start in starts])


def training_fingerprint(dataset: InteractionDataset) -> str:
    """Returns a hash (hex) over the shards of the training split: what `train_only` vectors were made from."""
    digest = hashlib.sha256()
    for shard in dataset.manifest.splits["train"].shards:
        digest.update(f"{shard.sha256} {shard.sequences} {shard.events}\n".encode())
    for name in ("item", "user"):
        if name in dataset.manifest.vocabularies:
            digest.update(f"{name} {dataset.manifest.vocabularies[name].content_sha256}\n".encode())
    return digest.hexdigest()


def write_vectors(
    folder: Path,
    name: str,
    vocabulary: Vocabulary,
    ids: Sequence[Any] | npt.NDArray[Any],
    vectors: npt.NDArray[Any],
    about: Mapping[str, Any],
) -> int:
    """Writes `NAME.npy`, one row per index of a vocabulary, and `NAME.json`, which says what it is.

    Args:
        folder: Where to write; made when it is missing.
        name: Letters, digits, `_`, `-` and `.`.
        vocabulary: Gives the rows.
        ids: Raw ids, each once; text that is an integer fits an int64 vocabulary. Unknown ids are passed over.
        vectors: Their vectors, in the same order, float `[ids, dim]`; may be memory-mapped.
        about: Kept in the JSON file.

    Returns:
        How many ids of the vocabulary have a vector.

    Raises:
        ConfigError: The name is no file name.
        DataError: A vector holds NaN or infinity, an id is there twice, or there are more ids than vectors.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"`{name}` is not a name of vectors.", remedy="Use letters, digits, `_`, `-` and `.`.")
    if vectors.ndim != 2 or len(ids) != len(vectors):
        raise DataError(f"There are {len(ids)} ids and vectors of shape {vectors.shape} of `{name}`.")
    folder.mkdir(exist_ok=True)
    temporary = folder / f"{name}.partial.npy"
    found = np.lib.format.open_memmap(temporary, "w+", np.float32, (vocabulary.size, int(vectors.shape[1])))
    known = np.zeros(vocabulary.size, np.bool_)
    try:
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            part = np.asarray(vectors[start : start + _ROWS_AT_ONCE], np.float32)  # [part, dim]
            if not np.isfinite(part).all():
                raise DataError(f"Some vectors of `{name}` hold NaN or infinity.", remedy="Leave these ids out.")
            index = vocabulary.lookup(as_ids_of(vocabulary, ids[start : start + _ROWS_AT_ONCE]))  # [part]
            inside = index >= FIRST_INDEX
            _refuse_repeated(name, vocabulary, index[inside], known)
            found[index[inside]] = part[inside]
            known[index[inside]] = True
        found.flush()
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    del found
    document = {"dim": int(vectors.shape[1]), "items": int(known.sum()), "vocabulary": vocabulary.content_hash}
    (folder / f"{name}.json").unlink(missing_ok=True)  # nothing old may describe what is new
    temporary.replace(folder / f"{name}.npy")
    write_json(folder / f"{name}.json", {**document, **about})
    return int(known.sum())


def read_vectors(folder: Path, name: str, vocabulary: Vocabulary, *, what: str) -> tuple[npt.NDArray[np.float32], Any]:
    """Returns what `write_vectors` wrote: vectors, memory-mapped `[vocabulary.size, dim]`, and the JSON document.

    Args:
        folder: The folder.
        name: Name of the vectors.
        vocabulary: The vocabulary they should be of.
        what: What they are, for errors: `item vectors` or `user vectors`.

    Raises:
        DataError: There are none of this name, or they are those of another vocabulary.
    """
    names = vector_names(folder)
    if name not in names:
        remedy = f"Make them: `python -m tfrec.texts encode --data DS --of {what.split()[0]}s --name {name} ...`."
        raise DataError(
            f"The dataset has no {what} `{name}`.",
            file=str(folder.parent),
            remedy=f"{did_you_mean(name, names)} {remedy}" if names else remedy,
        )
    about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    vectors: npt.NDArray[np.float32] = np.load(folder / f"{name}.npy", mmap_mode="r")
    if about["vocabulary"] != vocabulary.content_hash or vectors.shape != (vocabulary.size, about["dim"]):
        raise DataError(
            f"The {what} `{name}` are those of another vocabulary.",
            file=str(folder / f"{name}.npy"),
            remedy="Write them again.",
        )
    return vectors, about


def vector_names(folder: Path) -> list[str]:
    """Returns the names of the vectors in a folder."""
    return sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []


def text_vectors(
    dataset: InteractionDataset, name: str, vectors: npt.NDArray[np.float32], about: Mapping[str, Any]
) -> TextVectors:
    """Returns vectors with their mask, and a mark that holds for this dataset's training split.

    Args:
        dataset: The dataset.
        name: Name of the vectors.
        vectors: From `read_vectors`.
        about: From `read_vectors`.
    """
    vouched = about.get("provenance") == "train_only" and about.get("training_data") == training_fingerprint(dataset)
    return TextVectors(name, vectors, "train_only" if vouched else "unknown", about.get("source", {}))


def about_vectors(
    dataset: InteractionDataset, provenance: Provenance, source: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns what `text_vectors` needs to know again."""
    return {"provenance": provenance, "training_data": training_fingerprint(dataset), "source": dict(source or {})}


def as_ids_of(vocabulary: Vocabulary, ids: Sequence[Any] | npt.NDArray[Any]) -> Sequence[Any] | npt.NDArray[Any]:
    """Returns raw ids in the type of a vocabulary: keys of JSON objects are text, whatever the ids of the log are."""
    if vocabulary.id_type == "int64" and len(ids) and isinstance(ids[0], str):
        wrong = next((text for text in ids if not _INTEGER.fullmatch(text)), None)
        if wrong is not None:
            raise DataError(f"The id `{wrong}` is not an integer, as those of the dataset are.")
        return [int(text) for text in ids]
    if vocabulary.id_type == "string" and len(ids) and not isinstance(ids[0], str):
        return [str(number) for number in ids]
    return ids


def _refuse_repeated(
    name: str, vocabulary: Vocabulary, index: npt.NDArray[np.int32], known: npt.NDArray[np.bool_]
) -> None:
    ordered = np.sort(index)
    repeated = np.concatenate([index[known[index]], ordered[1:][ordered[1:] == ordered[:-1]]])
    if repeated.size:
        raise DataError(
            f"`{name}`: the id `{vocabulary.raw(repeated[:1])[0]}` has two vectors.", remedy="Leave one per id."
        )
