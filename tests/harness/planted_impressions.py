"""A tiny log of impressions with all kinds of columns and values, as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.impressions.impression_conversion import convert_impressions
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.impressions.impression_options import impression_options

ROLES: dict[str, Any] = {
    "label": "clicked",
    "id": "ID",
    "categorical": [
        {"name": "inventory_id", "vocabulary": "inventory"},
        "gender",
        {"name": "home.city", "min_count": 2},
    ],
    "numeric": [
        {"name": "price", "missing": 3.0},
        {"name": "age", "scaling": "quantile"},
        {"name": "plain", "scaling": "none"},
    ],
    "sequence": [
        {"name": "seq", "max_length": 6},
        {"name": "recent", "vocabulary": "inventory", "max_length": 3, "keep": "first", "separator": "^"},
        {"name": "paid", "kind": "numbers", "scaled_as": "price", "max_length": 4},
    ],
}
NUM_ROWS = 240


def planted_impressions(folder: Path) -> ImpressionDataset:
    """Writes and converts the log; `inventory_id` decides most of the clicks."""
    path = folder / "train.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(impressions(NUM_ROWS, seed=1), path)
    options = impression_options(output=str(folder / "DS"), input=(str(path),), impressions=ROLES, valid_fraction=0.25)
    convert_impressions(options)
    return ImpressionDataset.open(folder / "DS")


def impressions(rows: int, seed: int, *, strange: bool = False) -> pa.Table:
    """Rows of the log; strange ones have values that the planted log lacks, and lists that are too long or odd."""
    random = np.random.default_rng(seed)
    inventory = random.integers(1, 8 if strange else 5, rows)
    columns: dict[str, Any] = {
        "ID": pa.array([f"T{seed}-{row}" for row in range(rows)]),
        "clicked": pa.array((random.random(rows) < 0.15 * np.minimum(inventory, 5)).astype(np.int64)),
        "inventory_id": pa.array(inventory, mask=random.random(rows) < 0.1),
        "gender": pa.array(random.integers(1, 4 if strange else 3, rows).astype(float), mask=random.random(rows) < 0.1),
        "home.city": pa.array([("Köln", "a b", "\t", "Ôsaka ", "", None)[n] for n in random.integers(0, 6, rows)]),
        "price": pa.array(random.normal(0, 50, rows) * (3 if strange else 1), mask=random.random(rows) < 0.2),
        "age": pa.array(random.integers(0, 9, rows) ** (3 if strange else 2), mask=random.random(rows) < 0.2),
        "plain": pa.array(random.random(rows).astype(np.float32)),
        "seq": _lists(
            random, rows, 12, ",", [str(n) for n in range(9)] + ([" 4", "9 ", "007", "x", ""] if strange else [])
        ),
        "recent": _lists(random, rows, 5, "^", [str(n) for n in range(1, 5)] + (["6", "\u30001"] if strange else [])),
        "paid": _lists(random, rows, 7, ",", ["1.5", "-20", "1e1"] + ([" 7", ""] if strange else [])),
    }
    return pa.table(columns)


def _lists(random: np.random.Generator, rows: int, longest: int, separator: str, values: list[str]) -> pa.Array:
    lengths = random.integers(0, longest + 1, rows)
    texts = [separator.join(random.choice(values, length)) for length in lengths]
    return pa.array(texts, mask=random.random(rows) < 0.1)
