"""Results of an evaluation that is under way, so that an interrupted one does not start again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec.evaluation.ranking_result import RankingResult
from tfrec.files import write_json
from tfrec.training.run_manifest import source_commit
from tfrec.version import __version__


class ResultStore:
    """One JSON file per finished scorer in a directory that is removed when the evaluation is complete.

    Args:
        folder: The directory.
        made_from: What decides the results besides the code (data, model, settings); other results are ignored.
        resume: Take over what is there; otherwise it is removed.
    """

    def __init__(self, folder: Path, made_from: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        code = {"version": __version__, "commit": source_commit()}
        text = json.dumps({**made_from, **code}, sort_keys=True, default=str)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()
        if not resume:
            self.clear()

    def get(self, name: str) -> RankingResult | None:
        """Returns the stored result of a scorer, or None."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        return RankingResult(**document["result"]) if document["fingerprint"] == self._fingerprint else None

    def put(self, name: str, result: RankingResult) -> None:
        """Stores the result of a scorer atomically."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fields = dataclasses.asdict(dataclasses.replace(result, ranks=None))
        write_json(self.folder / f"{name}.json", {"fingerprint": self._fingerprint, "result": fields})

    def clear(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
