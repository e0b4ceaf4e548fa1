"""How a router weighed its experts in every epoch, for the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfrec.files import write_json
from tfrec.training.expert_usage import USAGE_FILE, usage_of

_PREFIX = "expert_"


class RouterUsage(keras.callbacks.Callback):
    """Writes the mean weights of the epoch, which training measured as `expert_NAME`, to `expert_usage.json`.

    Args:
        folder: Where the file goes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / USAGE_FILE

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        weights = {name: float(value) for name, value in (logs or {}).items() if name.startswith(_PREFIX)}
        if not weights:
            return
        epochs = json.loads(self.path.read_text(encoding="utf-8"))["epochs"] if epoch and self.path.is_file() else []
        epochs = [entry for entry in epochs if entry["epoch"] <= epoch]
        names = [name.removeprefix(_PREFIX) for name in weights]
        layers = {"router": {**usage_of(np.array(list(weights.values()))), "names": names}}
        write_json(self.path, {"epochs": [*epochs, {"epoch": epoch + 1, "layers": layers}]})


def copy_usage(stages: Path, names: Sequence[str], run: Path) -> None:
    """Joins the files of the stages into that of the run; epochs count on from stage to stage.

    Args:
        stages: Folder of the folders of the stages.
        names: Stages in their order; of those without a router the epochs count, too.
        run: Run directory.
    """
    found: list[dict[str, Any]] = []
    before = 0
    for name in names:
        file, history = stages / name / USAGE_FILE, stages / name / "history.csv"
        if file.is_file():
            epochs = json.loads(file.read_text(encoding="utf-8"))["epochs"]
            found += [{**entry, "epoch": entry["epoch"] + before} for entry in epochs]
        if history.is_file():
            before += len(history.read_text(encoding="utf-8").splitlines()) - 1
    if found:
        write_json(run / USAGE_FILE, {"epochs": found})
