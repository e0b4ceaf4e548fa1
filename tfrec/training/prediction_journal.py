"""What was predicted before an interruption, and where to go on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import DataError
from tfrec.files import write_json


@dataclass
class PredictionTally:
    """What was written so far: enough to go on, and to say something about it."""

    rows: int = 0
    bytes: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = 1.0
    high: float = 0.0
    unknown: dict[str, int] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)

    def add(self, p: npt.NDArray[np.float64]) -> None:
        """Counts the probabilities of a batch."""
        self.rows += len(p)
        self.total += float(p.sum())
        self.squares += float(np.square(p).sum())
        self.low, self.high = min(self.low, float(p.min())), max(self.high, float(p.max()))


def journal_path(partial: Path) -> Path:
    """Returns the note that lies beside a file that is being written."""
    return partial.with_name(f"{partial.name}.json")


def save_tally(file: Any, partial: Path, mark: str, tally: PredictionTally) -> None:
    """Notes how far a file was written, once that is on the disk.

    Args:
        file: The open file.
        partial: Its path.
        mark: What the predictions depend on.
        tally: What was written; its number of bytes is brought up to date.
    """
    file.flush()
    os.fsync(file.fileno())
    tally.bytes = file.tell()
    write_json(journal_path(partial), {"mark": mark, "tally": vars(tally)})


def resumed_tally(partial: Path, mark: str) -> PredictionTally | None:
    """Returns what an interrupted call had written, or None where nothing is left of one.

    Raises:
        DataError: It was made with another run, input or option.
    """
    journal = journal_path(partial)
    if not journal.is_file() or not partial.is_file():
        return None
    state = json.loads(journal.read_text(encoding="utf-8"))
    if state["mark"] != mark:
        raise DataError(
            "What was interrupted here had another run, input or option.",
            file=partial,
            remedy="Run without --resume to start afresh.",
        )
    return PredictionTally(**state["tally"])
