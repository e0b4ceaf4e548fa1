"""Texts by raw id, and the files they are kept in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.text_vectors import Provenance
from tfrec.errors import ConfigError, DataError
from tfrec.files import atomic_write
from tfrec.text.parquet_file import is_parquet, read_parquet

_MARK = "tfrec_texts"
_REMEDY = 'Write {"id": "text", ...}, or Parquet with the columns `id` and `text`.'


@dataclass(frozen=True)
class Texts:
    """Texts of items or users, and where they come from.

    Attributes:
        ids: Raw ids, int or str.
        texts: Their texts, in the same order.
        provenance: `train_only` when tfrec made them from the training split alone; `unknown` for any other file.
        training_data: Fingerprint of the training split they were made from; empty when unknown.
        source: How they were made.
    """

    ids: list[Any]
    texts: list[str]
    provenance: Provenance = "unknown"
    training_data: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def present(self) -> Texts:
        """Returns the same without blank texts."""
        kept = [(key, text) for key, text in zip(self.ids, self.texts, strict=True) if text.strip()]
        ids, texts = [key for key, _ in kept], [text for _, text in kept]
        return Texts(ids, texts, self.provenance, self.training_data, self.source)


def read_texts(path: Path) -> Texts:
    """Reads a file of texts: JSON (an object of id and text) or Parquet (columns `id` and `text`).

    Args:
        path: The file.

    Returns:
        The texts; the provenance is `unknown` unless tfrec wrote the file and says otherwise in it.

    Raises:
        DataError: The file is missing or damaged, has no text, an id twice, or a value that is no text.
    """
    if not path.is_file():
        raise DataError("No such file of texts.", file=path, remedy=_REMEDY)
    ids, texts, about = _read_parquet(path) if is_parquet(path) else _read_json(path)
    for row, (key, text) in enumerate(zip(ids, texts, strict=True), start=1):
        if key is None or not isinstance(text, str):
            raise DataError(f"The text of `{key}` is {type(text).__name__}, not text.", file=path, row=row)
    if len(set(ids)) < len(ids):
        twice, _ = Counter(ids).most_common(1)[0]
        raise DataError(f"The id `{twice}` has two texts.", file=path, remedy="Leave one per id.")
    if not ids:
        raise DataError("The file holds no text.", file=path, remedy=_REMEDY)
    provenance: Provenance = "train_only" if about.get("provenance") == "train_only" else "unknown"
    return Texts(ids, texts, provenance, str(about.get("training_data", "")), about.get("source", {}))


def write_texts(path: Path, texts: Texts) -> None:
    """Writes texts to JSON or, by suffix, Parquet, with provenance and source; whole or not at all.

    Args:
        path: The file; its directory is made when it is missing.
        texts: The texts.

    Raises:
        ConfigError: The suffix is neither `.json` nor `.parquet`.
    """
    check_text_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"provenance": texts.provenance, "training_data": texts.training_data, "source": dict(texts.source)}
    if not is_parquet(path):
        named = {str(key): text for key, text in zip(texts.ids, texts.texts, strict=True)}
        with atomic_write(path) as file:
            json.dump({_MARK: about, "texts": named}, file, indent=1, ensure_ascii=False)
            file.write("\n")
        return
    table = pa.table({"id": pa.array(texts.ids), "text": pa.array(texts.texts, pa.string())})
    table = table.replace_schema_metadata({_MARK: json.dumps(about)})
    with atomic_write(path, "wb") as file:
        pq.write_table(table, file, compression="zstd")


def check_text_path(path: Path) -> None:
    """Raises ConfigError unless the suffix of a file to be written says how."""
    if path.suffix.lower() != ".json" and not is_parquet(path):
        raise ConfigError(f"`{path}` is neither .json nor .parquet.", remedy="Give it one of these suffixes.")


def _read_json(path: Path) -> tuple[list[Any], list[Any], Mapping[str, Any]]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            keys = [key for key, _ in pairs]
            raise DataError(f"The key `{max(keys, key=keys.count)}` is there twice.", file=path)
        return dict(pairs)

    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except (ValueError, OSError) as error:
        raise DataError(f"Not JSON ({error}).", file=path, remedy=_REMEDY) from error
    about: Mapping[str, Any] = {}
    if isinstance(document, dict) and isinstance(document.get(_MARK), dict):
        about, document = document[_MARK], document.get("texts")
    if not isinstance(document, dict):
        raise DataError("Not an object of id and text.", file=path, remedy=_REMEDY)
    return list(document), list(document.values()), about


def _read_parquet(path: Path) -> tuple[list[Any], list[Any], Mapping[str, Any]]:
    table = read_parquet(path, ("id", "text"), remedy=_REMEDY)
    about = json.loads((table.schema.metadata or {}).get(_MARK.encode(), b"{}"))
    return table["id"].to_pylist(), table["text"].to_pylist(), about
