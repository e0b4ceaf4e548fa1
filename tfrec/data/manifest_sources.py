"""Where the files that a dataset was made of lie."""

from __future__ import annotations

from pathlib import Path

from tfrec.data.manifest import MANIFEST_NAME, Manifest
from tfrec.files import atomic_write


def name_sources(dataset: Path, partial: Path, target: Path) -> None:
    """Names the files that a dataset was made of by where they will lie when they are renamed into place.

    Args:
        dataset: Its directory.
        partial: Where files that were made for it, and perhaps the dataset itself, lie now.
        target: The name that `partial` will have.
    """
    file = dataset / MANIFEST_NAME
    manifest = Manifest.from_json(file.read_bytes(), file=str(file))
    named = [
        source.model_copy(update={"path": str(target / Path(source.path).relative_to(partial))})
        if Path(source.path).is_relative_to(partial)
        else source
        for source in manifest.sources
    ]
    with atomic_write(file) as out:
        out.write(manifest.model_copy(update={"sources": named}).to_json())
