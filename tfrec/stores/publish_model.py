"""The vectors of a model into a store."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrec.stores.model_vectors import ModelVectors
from tfrec.stores.redis.redis_store import RedisVectorStore
from tfrec.stores.vector_description import Kind, VectorDescription
from tfrec.stores.vector_directory import VectorDirectory, VectorDirectoryWriter
from tfrec.stores.vector_store import Published, Report


def publish_model(
    store: RedisVectorStore, vectors: ModelVectors, kinds: Sequence[Kind], report: Report
) -> list[Published]:
    """Publishes the vectors of a model under one new version.

    Args:
        store: Where to.
        vectors: The vectors; those of users are encoded into temporary files.
        kinds: `items`, `users` or both; or `memories`.
        report: Told of progress.

    Returns:
        What was done, in the order of the kinds.

    Raises:
        TfrecError: As `RedisVectorStore.publish`; the live version stays live.
    """
    store.check_server()  # before users are encoded, which takes longer
    with tempfile.TemporaryDirectory(prefix="tfrec-vectors-") as scratch:
        sources: list[Any] = []
        for kind in kinds:
            if kind == "items":
                sources.append(vectors.items())
            elif kind == "memories":
                sources.append(vectors.memories())
            else:
                write_users(vectors, Path(scratch) / kind, report)
                sources.append(VectorDirectory(Path(scratch) / kind))
        return store.publish(sources, report)


def write_users(vectors: ModelVectors, path: Path, report: Report, *, overwrite: bool = False) -> VectorDescription:
    """Encodes all users into a directory of vectors and returns what they are."""
    about = vectors.describe("users")
    with VectorDirectoryWriter(path, about, overwrite=overwrite) as writer:
        vectors.write_users(writer, lambda done: report("encode", "users", done, about.count))
    return about
