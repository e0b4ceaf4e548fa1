"""What is known of the semantic ids among the item features of a dataset: how well their codes are used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tfrec.data.dataset import InteractionDataset
from tfrec.data.remote_paths import scheme_of
from tfrec.errors import DataError

IDS_FILE, HEALTH_FILE = "semantic_ids.parquet", "semantic_ids.json"


def attach_health(dataset: Path, health: Path) -> None:
    """Copies the health of semantic ids into the directory of a dataset that has them as item features."""
    shutil.copy(health, dataset / HEALTH_FILE)


def read_health(dataset: InteractionDataset) -> dict[str, Any]:
    """Returns what was attached to a dataset; empty for one without, or remote.

    Raises:
        DataError: The file is damaged.
    """
    path = Path(dataset.path) / HEALTH_FILE
    if scheme_of(dataset.path) or not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise DataError(
            f"The file is no JSON object: {error}.", file=str(path), remedy="Prepare the data again."
        ) from error
