"""The data of click models without `--data`: generated impressions, converted like any other log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.config.impression_world_config import ImpressionWorldConfig
from tfrec.data.impressions.impression_conversion import convert_impressions
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.impressions.impression_options import impression_options
from tfrec.data.impressions.impression_world import HISTORY_COLUMNS, NUMERIC_COLUMNS, ImpressionWorld
from tfrec.files import write_json

_WORLD_FILE = "world.json"
_LOG = "synthetic.parquet"


def synthetic_impressions(
    config: ImpressionWorldConfig, folder: Path, console: Console, *, max_length: int | None, seed: int
) -> tuple[ImpressionDataset, float]:
    """Generates impressions and converts them, unless `folder` holds them already.

    Args:
        config: Size and dynamics.
        folder: Dataset directory to write; its parent gets `world.json`.
        console: For progress.
        max_length: Values of lists that are kept; None: as a schema has it.
        seed: Of the split.

    Returns:
        The data set, and the largest AUC that any model can be expected to have.
    """
    note = folder.with_name(_WORLD_FILE)
    if not folder.exists() or not note.exists():
        console.print(f"Generating {config.num_rows:,} impressions", markup=False)
        log = folder.with_name(_LOG)
        best = ImpressionWorld(config).write(log)
        roles: dict[str, Any] = {
            "label": "clicked",
            "categorical": ["gender", "age_group", "inventory_id", "day_of_week", "hour"],
            "numeric": [name for name in NUMERIC_COLUMNS if name not in HISTORY_COLUMNS],
            "sequence": ["seq"] if max_length is None else [{"name": "seq", "max_length": max_length}],
        }
        convert_impressions(
            impression_options(output=str(folder), impressions=roles, input=(str(log),), overwrite=True, seed=seed)
        )
        log.unlink()
        write_json(note, {"best_auc": best})
    return ImpressionDataset.open(folder), float(json.loads(note.read_text(encoding="utf-8"))["best_auc"])
