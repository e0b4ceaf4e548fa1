"""A tiny cinema: three users, and a twin of it that differs in valid and test only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset

# Leave-one-out: the last event of a user is test, the one before it valid.
TRAIN = {7: [10, 11, 12, 13], 8: [12, 10], 9: [14, 11, 14]}
HELD_OUT = {7: [14, 10], 8: [13, 11], 9: [10, 12]}
OTHER_HELD_OUT = {7: [11, 15], 8: [15, 14], 9: [13, 15]}
ITEMS: dict[str, list[Any]] = {
    "item_id": [10, 11, 12, 13, 14, 15],
    "title": ["Heat", "Elf", "Alien", "Up", "", "Big"],
    "year": [1995.0, 2003.0, 1979.0, 2009.0, 1991.0, None],
    "genres": [["Crime", "Action"], ["Comedy"], ["Horror", "Action"], ["Comedy"], [], ["Comedy"]],
}


def make_cinema(folder: Path, held_out: dict[int, list[int]]) -> InteractionDataset:
    """Converts the cinema with the given valid and test events."""
    folder.mkdir(parents=True)
    pq.write_table(pa.table(ITEMS), folder / "items.parquet")
    rows = [
        (user, item, 100 * place + user) for user in TRAIN for place, item in enumerate(TRAIN[user] + held_out[user])
    ]
    user, item, time = zip(*rows, strict=True)
    options: dict[str, Any] = {
        "output": str(folder / "DS"),
        "user_col": "user",
        "item_col": "item",
        "time_col": "time",
        "time_unit": "s",
        "split": "leave_one_out",
        "unknown_items": "keep",
        "cold_items": "keep",
        "items": (str(folder / "items.parquet"),),
        "items_id_col": "item_id",
        "item_title_col": "title",
        "item_features": ("genres", "year:number"),
    }
    convert(ConversionOptions(**options), table=pa.table({"user": user, "item": item, "time": time}))
    return InteractionDataset.open(options["output"])


@pytest.fixture(scope="session")
def cinema(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return make_cinema(tmp_path_factory.mktemp("cinema") / "one", HELD_OUT)


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return make_cinema(tmp_path_factory.mktemp("cinema") / "two", OTHER_HELD_OUT)
