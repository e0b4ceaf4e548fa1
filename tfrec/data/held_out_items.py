"""Items that are kept out of training: how they are ranked shows what a model knows of items besides their events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from tfrec.data.sql import literal
from tfrec.errors import ConfigError
from tfrec.seeds import derive_seed


@dataclass(frozen=True)
class HeldOutItems:
    """What became of the events.

    Attributes:
        items: Items that were drawn.
        dropped: Events of them that were dropped.
        targets: Events of them that were kept, each the last of its user: with `leave_one_out` the targets of test.
    """

    items: int
    dropped: int
    targets: int


def check_share(share: float) -> None:
    """Raises ConfigError unless a share is in (0, 1)."""
    if not 0.0 < share < 1.0:
        raise ConfigError(f"A share of items to hold out is between 0 and 1, received {share:g}.")


def hold_out_items(path: Path, share: float, *, seed: int = 0, memory_limit: str = "2GB") -> HeldOutItems:
    """Draws items and drops their events from a Parquet file, but for those that are the last of their user.

    Split by `leave_one_out` with `--unknown-items keep`, they have no training event and are ranked as targets of test:
    the slice `unseen` of the evaluation.

    Args:
        path: File with `user_id`, `item_id` and `timestamp`; it is replaced when the new one is whole.
        share: Share of the items, in (0, 1).
        seed: Decides the draw.
        memory_limit: For sorting; more goes to the disk.

    Raises:
        ConfigError: The share is not between 0 and 1.
    """
    check_share(share)
    partial = path.with_name(f".{path.name}.partial")
    connection = duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(path.parent)})
    try:
        source = f"read_parquet({literal(str(path))}, file_row_number = true)"
        connection.execute(
            "CREATE TEMP TABLE items AS SELECT item_id, row_number() OVER (ORDER BY item_id) - 1 AS number FROM "
            f"(SELECT DISTINCT item_id FROM {source})"
        )
        (total,) = connection.execute("SELECT count(*) FROM items").fetchone() or (0,)
        count = max(1, round(share * total))
        chosen = np.random.default_rng(derive_seed(seed, "held out items")).permutation(total)[:count]
        connection.execute(
            "CREATE TEMP TABLE held AS SELECT item_id FROM items WHERE number IN (SELECT unnest($1))", [chosen.tolist()]
        )
        connection.execute(
            "CREATE TEMP TABLE marked AS SELECT *, item_id IN (SELECT item_id FROM held) AS is_held, row_number() OVER "
            f"(PARTITION BY user_id ORDER BY timestamp DESC, file_row_number DESC) = 1 AS is_last FROM {source}"
        )
        counted = connection.execute(
            "SELECT count(*) FILTER (is_held AND NOT is_last), count(*) FILTER (is_held AND is_last) FROM marked"
        ).fetchone()
        connection.execute(
            "COPY (SELECT * EXCLUDE (is_held, is_last, file_row_number) FROM marked WHERE is_last OR NOT is_held "
            f"ORDER BY file_row_number) TO {literal(str(partial))} (FORMAT parquet, COMPRESSION zstd)"
        )
        partial.replace(path)
    finally:
        connection.close()
        partial.unlink(missing_ok=True)
    dropped, targets = counted or (0, 0)
    return HeldOutItems(count, int(dropped), int(targets))
