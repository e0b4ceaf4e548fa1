"""Small JSON documents in artifacts, and the property by which TFX knows blessings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec.files import write_json

BLESSED = "blessed"


def write_note(artifact: Any, name: str, document: Mapping[str, Any]) -> None:
    """Writes a JSON document into the directory of an artifact."""
    folder = Path(artifact.uri)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / name, document)


def read_note(uri: str, name: str) -> dict[str, Any]:
    """Returns a document that `write_note` wrote, or an empty one."""
    path = Path(uri) / name
    if not path.is_file():
        return {}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def is_blessed(artifact: Any) -> bool:
    """Returns whether a model blessing or infra blessing says yes."""
    return int(artifact.get_int_custom_property(BLESSED) or 0) == 1
