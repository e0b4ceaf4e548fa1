"""From signatures to a published version: what exports of all kinds of models do alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from tfrec.errors import DataError
from tfrec.files import write_json
from tfrec.serving.export_document import CARD_FILE, EXPORT_FILE
from tfrec.serving.file_digests import file_digests
from tfrec.serving.fresh_process import verify_export
from tfrec.serving.golden_requests import Request
from tfrec.serving.replay import GOLDEN_FILE
from tfrec.serving.server_version import COMPOSE_TAG, too_old
from tfrec.serving.version_directory import VersionDirectory
from tfrec.serving.warmup import write_warmup


@dataclass(frozen=True)
class NewVersion:
    """What a version is made of.

    Attributes:
        document: Content of `export.json`; completed while it is published.
        module: What is saved.
        signatures: Traced signatures by name.
        requests: Golden requests.
        card: Makes the model card of the complete document.
        texts: Further files by their path in the version, the schema among them.
    """

    document: dict[str, Any]
    module: tf.Module
    signatures: Mapping[str, Any]
    requests: Sequence[Request]
    card: Callable[[dict[str, Any]], str]
    texts: Mapping[str, str] = field(default_factory=dict)


def publish_version(
    directory: VersionDirectory,
    new: NewVersion,
    console: Console,
    *,
    version: int | None = None,
    verify: bool = True,
    keep: int | None = None,
) -> dict[str, Any]:
    """Writes a version, verifies it and makes it visible.

    Args:
        directory: The directory of all versions.
        new: What it is made of.
        console: For progress.
        version: Its number. Default: one more than the newest.
        verify: Replay the golden requests in a fresh process before it is published.
        keep: How many versions to keep. Default: all.

    Returns:
        The content of `export.json`, `path`, and `removed`: versions that were pruned.

    Raises:
        ConfigError: The number is taken.
        DataError: The directory is held by another process.
        ExportError: Verification failed; nothing was published.
    """
    document = new.document

    def finish(folder: Path, number: int) -> None:
        document["version"] = number
        (folder / CARD_FILE).write_text(new.card(document), encoding="utf-8")
        write_json(folder / EXPORT_FILE, document)

    with directory.new_version(version, finish=finish) as folder:
        with step(console, "Writing the SavedModel"):
            tf.saved_model.save(new.module, str(folder), signatures=dict(new.signatures))
            (folder / "assets.extra").mkdir(exist_ok=True)
            (folder / GOLDEN_FILE).write_text(json.dumps(new.requests, ensure_ascii=False), encoding="utf-8")
            document["warmup"] = write_warmup(folder, document["model"], new.requests, new.signatures)
            for name, text in new.texts.items():
                (folder / name).write_text(text, encoding="utf-8")
        if verify:
            with step(console, f"Replaying {len(new.requests)} golden requests in a process that has only TensorFlow"):
                report = verify_export(folder)
            document["verified"] = {key: report[key] for key in ("requests", "seconds", "ops")}
        document["files"] = file_digests(folder)
    removed = _prune(directory, keep, console)
    path = directory.folder(document["version"])
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    console.print(f"Published {path} ({size / 1e6:,.1f} MB)", markup=False)
    if removed:
        console.print(f"Removed versions {', '.join(map(str, removed))}", markup=False)
    if too_old(COMPOSE_TAG, tf.__version__):
        console.print(
            f"Servers must be of TensorFlow {document['server']} or later; deploy/docker-compose.yml takes "
            f"{COMPOSE_TAG} unless TF_SERVING_TAG names another image.",
            markup=False,
        )
    return {**document, "path": str(path), "removed": removed}


def dry_report(directory: VersionDirectory, model: str, version: int, console: Console) -> dict[str, Any]:
    """Says what would be published, and returns it: `model`, `version` and `path`."""
    path = directory.folder(version)
    console.print(f"Would export {model} to `{path}`.", markup=False)
    return {"model": model, "version": version, "path": str(path)}


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Context that says how long something took."""
    started = time.perf_counter()
    with console.status(what):
        yield
    console.print(f"{what}: {time.perf_counter() - started:.1f} s", markup=False)


def _prune(directory: VersionDirectory, keep: int | None, console: Console) -> list[int]:
    """Removes old versions; that this fails does not undo the publication."""
    try:
        return [] if keep is None else directory.prune(keep)
    except (DataError, OSError) as error:
        console.print(f"WARNING: The old versions stay: {error}", markup=False)
        return []
