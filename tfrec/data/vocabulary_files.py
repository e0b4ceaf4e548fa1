"""The vocabulary files of a dataset directory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tfrec.data.manifest import VocabularyRecord
from tfrec.data.vocabulary import Vocabulary


def write_vocabularies(vocabularies: Mapping[str, Vocabulary], root: Path | None) -> dict[str, VocabularyRecord]:
    """Writes `vocab/<name>.parquet` for each vocabulary and returns their records.

    Args:
        vocabularies: Vocabularies by name.
        root: The dataset directory; None = write nothing.
    """
    records = {}
    for name, vocabulary in vocabularies.items():
        content = vocabulary.to_parquet()
        if root is not None:
            (root / "vocab").mkdir(exist_ok=True)
            (root / "vocab" / f"{name}.parquet").write_bytes(content)
        records[name] = VocabularyRecord(
            path=f"vocab/{name}.parquet",
            id_type=vocabulary.id_type,
            size=vocabulary.size,
            content_sha256=vocabulary.content_hash,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
    return records
