"""`export.json`: what a version says of itself."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec.errors import DataError
from tfrec.serving.server_version import needed_server
from tfrec.serving.version_directory import VersionDirectory
from tfrec.training.model_store import SCHEMA_FILE, LoadedRun
from tfrec.training.run_manifest import software_versions, source_commit

FORMAT_VERSION = 1
EXPORT_FILE = "assets.extra/export.json"
CARD_FILE = "assets.extra/model_card.md"
SCHEMA_ASSET = f"assets.extra/{SCHEMA_FILE}"
CLICKS = "clicks"
"""`kind` of the exports of click models; those of recommenders have none."""


def export_facts(loaded: LoadedRun) -> dict[str, Any]:
    """Returns what `export.json` says of every export: format, run and weights, time and software."""
    return {
        "format_version": FORMAT_VERSION,
        "model": loaded.model.registered_name,
        "run": str(loaded.directory.path.resolve()),
        "checkpoint": loaded.checkpoint,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "versions": software_versions(),
        "server": needed_server(tf.__version__),
        "verified": None,
    }


def read_export(folder: Path) -> dict[str, Any]:
    """Reads `export.json` of a version.

    Raises:
        DataError: The file is missing, damaged, or of another format.
    """
    path = folder / EXPORT_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        versions = VersionDirectory(folder).versions()
        if versions:
            raise DataError(
                f"A directory of versions, not a version: {', '.join(map(str, versions))}.",
                file=folder,
                remedy=f"Pass one of them, for example `{VersionDirectory(folder).newest()}`.",
            ) from error
        raise DataError(
            f"Not a version that tfrec exported ({type(error).__name__}).",
            file=path,
            remedy="Pass DIR/VERSION of an export; one that was rolled back is parked as DIR/.VERSION.rolled-back.",
        ) from error
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        raise DataError("The export has another format.", file=path, remedy="Export again with this tfrec.")
    return document
