"""The epochs of all stages in one file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tfrec.files import atomic_write


def join_histories(stages: Sequence[tuple[str, Path]], path: Path) -> int:
    """Writes one `history.csv` for all stages and returns its number of epochs.

    Epochs count on from stage to stage; the column `stage` is the number of the stage, from 1. A cell is empty where a
    stage does not measure what another one does.

    Args:
        stages: Name and `history.csv` of every stage, in order; those without a file are passed over.
        path: The file.
    """
    rows: list[dict[str, str | int]] = []
    for number, (_, file) in enumerate(stages, start=1):
        if not file.is_file():
            continue
        with file.open(encoding="utf-8", newline="") as opened:
            rows += [{**row, "epoch": 0, "stage": number} for row in csv.DictReader(opened)]
    for number, row in enumerate(rows, start=1):
        row["epoch"] = number
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as written:
        writer = csv.DictWriter(written, fieldnames=columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)
