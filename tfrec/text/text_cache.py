"""Answers of language models on disk, by what was asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec.files import atomic_write


class TextCache:
    """A directory with one small file per answer; interrupted work goes on from it, and nothing is paid for twice.

    The name of a file is the hash of the whole request (model, messages, settings, address): another prompt or model
    never meets an old answer. A damaged file counts as absent. Keys for the service are no part of a request.

    Args:
        directory: Where the files are; made when the first answer is kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, request: Mapping[str, Any]) -> str | None:
        """Returns the answer to a request, or None."""
        try:
            text = json.loads(self._path(request).read_text(encoding="utf-8"))["text"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return text if isinstance(text, str) else None

    def put(self, request: Mapping[str, Any], text: str) -> None:
        """Keeps the answer to a request."""
        path = self._path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            json.dump({"request": request, "text": text}, file, ensure_ascii=False)

    def _path(self, request: Mapping[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(request, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        return self._directory / digest[:2] / f"{digest}.json"
