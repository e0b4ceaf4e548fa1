"""A small shop whose item texts say what users like, also those of items that nobody bought yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.data.user_vectors import write_user_vectors

GROUPS, ITEMS_PER_GROUP, COLD_PER_GROUP, WIDTH = 4, 10, 2, 12
COLD_ID = 500


def text_shop(folder: Path, *, users: int = 80, events: int = 9, seed: int = 0) -> InteractionDataset:
    """Writes the shop: a user buys items of his group; the last purchase is a cold item of it.

    Text vectors `texts` of items and `profiles` of users are those of the group and some noise. Ids of cold items are
    `COLD_ID` and up; they have no training event.
    """
    random = np.random.default_rng(seed)
    centres = random.normal(size=(GROUPS, WIDTH))
    rows: list[tuple[int, int, int]] = []
    for user in range(users):
        group = user % GROUPS
        bought = random.permutation(ITEMS_PER_GROUP)[: events - 1] * GROUPS + group
        cold = COLD_ID + int(random.integers(COLD_PER_GROUP)) * GROUPS + group
        rows += [(user, int(item), 1000 * user + time) for time, item in enumerate([*bought, cold])]
    user_ids, item_ids, times = zip(*rows, strict=True)
    folder.mkdir(parents=True, exist_ok=True)
    known = [*range(GROUPS * ITEMS_PER_GROUP), *range(COLD_ID, COLD_ID + GROUPS * COLD_PER_GROUP)]
    pq.write_table(pa.table({"item_id": known}), folder / "items.parquet")
    options = ConversionOptions(
        output=str(folder / "DS"),
        user_col="user_id",
        time_unit="s",
        split="leave_one_out",
        unknown_items="keep",
        items=(str(folder / "items.parquet"),),
        cold_items="keep",
    )
    convert(options, table=pa.table({"user_id": user_ids, "item_id": item_ids, "timestamp": times}))
    dataset = InteractionDataset.open(options.output)
    noise = random.normal(size=(len(known), WIDTH))
    write_item_vectors(dataset, "texts", known, centres[np.array(known) % GROUPS] + 0.3 * noise)
    noise = random.normal(size=(users, WIDTH))
    profiles = centres[np.arange(users) % GROUPS] + 0.3 * noise
    write_user_vectors(dataset, "profiles", list(range(users)), profiles, provenance="unknown")
    return dataset
