"""`best.yaml`: the settings of the best trial, as a configuration for `tfrec.train`, and where they come from."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tfrec.files import atomic_write
from tfrec.tuning.search_settings import SPLIT, SearchSettings
from tfrec.tuning.trial_record import TrialRecord

_TRAIN = ("python", "-m", "tfrec.train")


def write_best(
    path: Path,
    settings: SearchSettings,
    best: TrialRecord,
    header: Mapping[str, Any],
    *,
    confirmed: str = "",
    default: bool = False,
) -> None:
    """Writes what differs from the preset, with a header that says where it comes from.

    Args:
        path: The file.
        settings: The search.
        best: Its best trial.
        header: Provenance: `created`, `command`, `dataset`, `commit`, `versions`.
        confirmed: What the confirmation says of the trial, a sentence.
        default: Write the settings of the default configuration, which did better than the trial.
    """
    data = header["dataset"]
    others = "other seeds" if settings.seeded else "other data"
    origin = f"Best of a {settings.searcher} search for {settings.model}: trial {best.number}."
    if default:
        origin = f"Default configuration of {settings.model}: the best of a {settings.searcher} search, trial "
        origin += f"{best.number}, did worse when both were trained again."
    lines = [
        origin,
        f"Date: {header['created']}",
        f"Metric{' of the trial' if default else ''}: {settings.goal.name} = {best.score:.6g} on the split `{SPLIT}`, "
        f"seed {settings.seed}; the best of many trials, so expect less of {others}.",
        f"Confirmation: {confirmed or 'none.'}",
        f"Data: {data['path']}",
        f"Data hash: sha256:{data_hash(data)} (of schema and shards)",
        f"Command: {shlex.join(header['command'])}",
        f"Code: commit {header['commit']}, tfrec {header['versions']['tfrec']}, TensorFlow "
        f"{header['versions']['tensorflow']}",
        "Use: " + shlex.join([*_TRAIN, "--config", str(path.resolve()), "--data", data["path"], "--output", "RUN"]),
    ]
    with atomic_write(path) as file:
        for line in lines:
            file.write("# " + " ".join(line.split()) + "\n")
        yaml.safe_dump(settings.overrides(None if default else best_values(best)), file, sort_keys=False)


def best_values(best: TrialRecord) -> dict[str, Any]:
    """Returns the settings of a trial with the number of epochs it was trained for."""
    return dict(best.values) if best.epochs is None else {**best.values, "training.epochs": best.epochs}


def data_hash(fingerprint: Mapping[str, Any]) -> str:
    """Returns one checksum for a data set, wherever it lies."""
    decided = {key: fingerprint[key] for key in ("schema_hash", "shards")}
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
