"""Fixtures of the data tests: tiny logs in, examples with raw ids out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset

DAY = 86_400
Example = tuple[Any, list[Any], int]


@pytest.fixture
def convert_rows(tmp_path: Path) -> Callable[..., InteractionDataset]:
    """Converts rows of (session, item, seconds); everything is training data unless `split` says otherwise."""

    def run(rows: list[tuple[Any, Any, Any]], **options: Any) -> InteractionDataset:
        session, item, time = zip(*rows, strict=True)
        table = pa.table({"session_id": list(session), "item_id": list(item), "timestamp": list(time)})
        options.setdefault("output", str(tmp_path / "DS"))
        if "split" not in options:
            options.update(split="random_user", test_fraction=0, valid_fraction=0)
        convert(ConversionOptions(**{"time_unit": "s", **options}), table=table)
        return InteractionDataset.open(options["output"])

    return run


@pytest.fixture
def examples() -> Callable[[InteractionDataset, str], list[Example]]:
    """Reads a split as (raw id, raw items, num_targets), in file order; empty when the split does not exist."""

    def read(dataset: InteractionDataset, split: str = "train") -> list[Example]:
        if split not in dataset.splits:
            return []
        arrays = dataset.load_ragged(split)
        items = dataset.item_vocabulary.raw(arrays.items)
        starts = arrays.offsets.tolist()
        return [
            (arrays.user_ids[n], items[starts[n] : starts[n + 1]], int(arrays.num_targets[n]))
            for n in range(len(arrays))
        ]

    return read
