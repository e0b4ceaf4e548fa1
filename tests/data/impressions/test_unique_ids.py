"""An id that names two rows is found, whatever its type and wherever the rows are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from tfrec.data.impressions import unique_ids as module
from tfrec.data.impressions.impression_sources import ImpressionSource, open_sources
from tfrec.data.impressions.unique_ids import check_unique_ids
from tfrec.errors import DataError

ROWS = 3000  # three batches


def sources(folder: Path, *columns: object) -> list[ImpressionSource]:
    """One file per column of ids, every other one CSV."""
    for number, column in enumerate(columns):
        frame = pd.DataFrame({"ID": column, "x": 0})
        if number % 2:
            frame.to_csv(folder / f"{number}.csv", index=False)
        else:
            frame.to_parquet(folder / f"{number}.parquet", index=False)
    return open_sources(tuple(sorted(str(path) for path in folder.iterdir())), split=None, file_format=None)


def test_different_ids_pass(tmp_path: Path) -> None:
    check_unique_ids(sources(tmp_path, np.arange(ROWS), np.arange(ROWS, 2 * ROWS)), "ID")
    check_unique_ids([], "ID")


def test_the_second_row_is_named(tmp_path: Path) -> None:
    second = [f"u{row}" for row in range(ROWS)]
    second[2500] = "t1700"
    with pytest.raises(DataError, match=r"1\.csv`, column `ID`, row 2501: The id `t1700` names a second row"):
        check_unique_ids(sources(tmp_path, [f"t{row}" for row in range(ROWS)], second), "ID")


def test_missing_ids_are_left_to_others(tmp_path: Path) -> None:
    ids: list[str | None] = [f"t{row}" for row in range(ROWS)]
    ids[3] = ids[8] = None
    check_unique_ids(sources(tmp_path, ids), "ID")
    ids[1500] = "t2"
    with pytest.raises(DataError, match=r"row 1501: The id `t2`"):
        check_unique_ids(sources(tmp_path, ids), "ID")


def test_equal_hashes_of_different_ids_are_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def colliding(names: npt.NDArray[np.object_], **options: object) -> npt.NDArray[np.uint64]:
        return np.zeros(len(names), np.uint64)

    monkeypatch.setattr(module.pd.util, "hash_array", colliding)
    check_unique_ids(sources(tmp_path, np.arange(20)), "ID")
