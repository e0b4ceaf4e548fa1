"""What is exported, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how.

    Attributes:
        run: Run directory. None: the one that the newest version was made of; only with `items_only`.
        assignments: Settings of `ExportConfig`, as `index.kind=ivf`; of a click model those of `ClickExportConfig`.
        data: Data set with the schema of the run. Default: the one of the run.
        candidates: Text file with the raw ids of the items that may be recommended, one per line. Default: all.
        items_only: Make the item side of the newest version anew: settings that are not given stay as they are, and
            the weights must be the same ones; with `data`, what the data set says of the items is taken over.
        like: Only of a click model: Parquet file whose column types inputs shall have.
        verify: Replay the golden requests in a fresh process before anything is published.
        version: Number of the version. Default: one more than the newest.
        keep: How many versions to keep. Default: all.
        dry_run: Check everything, write nothing.
    """

    run: Path | None = None
    assignments: Sequence[str] = ()
    data: str | None = None
    candidates: Path | None = None
    items_only: bool = False
    like: Path | None = None
    verify: bool = True
    version: int | None = None
    keep: int | None = None
    dry_run: bool = False
