"""Results of an evaluation that is under way, so that an interrupted one does not start again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrec.evaluation.ranked_targets import RankedTargets
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.evaluation.top_lists import TopLists
from tfrec.files import write_json
from tfrec.training.run_manifest import source_commit
from tfrec.version import __version__

_TARGETS, _LISTS = "targets.", "lists."


class ResultStore:
    """Two files per finished scorer (JSON and arrays) in a directory that is removed when the evaluation is complete.

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
        if document["fingerprint"] != self._fingerprint:
            return None
        fields = document["result"]
        with np.load(path.with_suffix(".npz")) as arrays:
            targets = {key.removeprefix(_TARGETS): arrays[key] for key in arrays if key.startswith(_TARGETS)}
            counts = {int(key.removeprefix(_LISTS)): arrays[key] for key in arrays if key.startswith(_LISTS)}
        if targets:
            fields["targets"] = RankedTargets(**targets)
        if counts:
            fields["lists"] = TopLists(fields["lists"], dict(sorted(counts.items())))
        return RankingResult(**fields)

    def put(self, name: str, result: RankingResult) -> None:
        """Stores the result of a scorer; the JSON file comes last, atomically, and makes it count."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
        targets, lists = fields.pop("targets"), fields.pop("lists")
        arrays = {} if targets is None else {_TARGETS + key: values for key, values in targets.arrays().items()}
        if lists is not None:
            arrays |= {f"{_LISTS}{cutoff}": counts for cutoff, counts in lists.counts.items()}
            fields["lists"] = lists.num_lists
        path = self.folder / f"{name}.json"
        np.savez(path.with_suffix(".npz"), **arrays)
        write_json(path, {"fingerprint": self._fingerprint, "result": fields})

    def clear(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.folder, ignore_errors=True)
