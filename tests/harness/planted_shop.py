"""A tiny shop as a data set: int64 ids above 2^31 or odd strings; users, item features, histories of all lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors

NUM_ITEMS = 23
NUM_USERS = 30
VECTORS = "text"
ID_TYPES = ("int64", "string")


def item_id(number: int, id_type: str) -> Any:
    """The raw id of an item; the strings hold a line break, a tab, quotes, and letters beyond ASCII."""
    return 2**31 + 10**12 * number + 7 if id_type == "int64" else f'Größe "{number}"\n\t☃'


def user_id(number: int, id_type: str) -> Any:
    """The raw id of a user; of the other type than the items' ids."""
    return f"user {number}" if id_type == "int64" else -(2**40) - number


def planted_shop(folder: Path, id_type: str, *, cold: int = 2, profiles: bool = False) -> InteractionDataset:
    """Converts the shop: each user walks along the items with some noise; `cold` items have features and no events.

    With `profiles`, users have features, one of them no events, and items have vectors of the name `VECTORS`.
    """
    random = np.random.default_rng(5)
    rows = []
    for user in range(NUM_USERS):
        start, length = random.integers(0, NUM_ITEMS), int(random.integers(3, 14))
        for event in range(length):
            item = (start + event + random.integers(0, 3)) % (NUM_ITEMS - cold)
            rows.append((user_id(user, id_type), item_id(int(item), id_type), 1_600_000_000 + 1000 * user + 60 * event))
    user, item, time = zip(*rows, strict=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_items(folder / "items.parquet", id_type)
    options: dict[str, Any] = {
        "output": str(folder / "DS"),
        "user_col": "user_id",
        "time_unit": "s",
        "split": "leave_one_out",
        "unknown_items": "keep",
        "items": (str(folder / "items.parquet"),),
        "cold_items": "keep",
    }
    if profiles:
        write_users(folder / "users.parquet", id_type)
        options |= {"users": (str(folder / "users.parquet"),), "cold_users": "keep"}
    convert(ConversionOptions(**options), table=pa.table({"user_id": user, "item_id": item, "timestamp": time}))
    dataset = InteractionDataset.open(options["output"])
    if profiles:
        ids = [item_id(number, id_type) for number in range(1, NUM_ITEMS)]  # the first item has no vector
        write_item_vectors(dataset, VECTORS, ids, np.random.default_rng(6).normal(size=(NUM_ITEMS - 1, 5)))
    return dataset


def write_users(path: Path, id_type: str) -> None:
    """Writes the user file; user 2 is not in it, the last one of it has no events."""
    numbers = [number for number in range(NUM_USERS + 1) if number != 2]
    users = {
        "user_id": [user_id(number, id_type) for number in numbers],
        "city": [["Bonn", "Ulm"][number % 2] for number in numbers],
        "wishes": [[f"{number % 3}", f"{number % 5}"] for number in numbers],
        "age": [float(20 + number) for number in numbers],
    }
    pq.write_table(pa.table(users), path)


def write_items(path: Path, id_type: str, *, swapped: tuple[int, int] = (0, 0)) -> None:
    """Writes the item file; two items may change places."""
    places = list(range(NUM_ITEMS))
    places[swapped[0]], places[swapped[1]] = places[swapped[1]], places[swapped[0]]
    ids = [item_id(number, id_type) for number in range(NUM_ITEMS)]
    colours = [["red", "green", "blue"][place % 3] for place in places]
    prices = [float(place * place) for place in places]
    pq.write_table(pa.table({"item_id": ids, "colour": colours, "price": prices}), path)
