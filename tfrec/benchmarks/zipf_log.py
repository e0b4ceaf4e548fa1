"""Event logs of any size whose item popularity follows Zipf's law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset

_FIRST_TIME = 1_600_000_000_000
_SPAN_MS = 30 * 24 * 3600 * 1000
_EVENT_SPACING_MS = 10_000


def zipf_items(count: int, num_items: int, seed: int) -> NDArray[np.int64]:
    """Draws item numbers 0 to `num_items - 1`, number n with probability proportional to 1 / (n + 1).

    Args:
        count: How many to draw.
        num_items: Size of the catalogue.
        seed: Seed.

    Returns:
        int64 `[count]`.
    """
    edges = np.cumsum(1.0 / np.arange(1, num_items + 1))
    draws = np.random.default_rng(seed).random(count) * edges[-1]
    return np.minimum(np.searchsorted(edges, draws, side="right"), num_items - 1).astype(np.int64)


def session_lengths(num_sessions: int, mean_length: float, seed: int) -> NDArray[np.int64]:
    """Draws session lengths of at least 2: 2 plus a geometric number of further events.

    Args:
        num_sessions: How many to draw.
        mean_length: Mean length, above 2.
        seed: Seed.

    Returns:
        int64 `[num_sessions]`.
    """
    return 1 + np.random.default_rng(seed).geometric(1.0 / (mean_length - 1.0), num_sessions)


def zipf_log(
    num_events: int, num_items: int, mean_length: float, *, seed: int = 0, string_ids: bool = False
) -> pa.Table:
    """Generates a log of 30 days in the order of time; where it is long enough, every item occurs in it.

    Args:
        num_events: Rows, about.
        num_items: Size of the catalogue.
        mean_length: Mean events per session, above 2.
        seed: Seed.
        string_ids: Ids as text (`s-000000012`, `i-000000034`) instead of int64.

    Returns:
        Columns `session_id`, `item_id` and `timestamp` (int64, ms since 1970).
    """
    lengths = session_lengths(max(1, round(num_events / mean_length)), mean_length, seed)
    rows = int(lengths.sum())
    session = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(rows) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    timestamp = _FIRST_TIME + session * (_SPAN_MS // len(lengths)) + step * _EVENT_SPACING_MS
    item = zipf_items(rows, num_items, seed + 1)
    if rows >= num_items:
        item[np.random.default_rng(seed + 2).choice(rows, num_items, replace=False)] = np.arange(num_items)
    order = np.argsort(timestamp, kind="stable")
    columns = {"session_id": session[order], "item_id": item[order]}
    if string_ids:
        texts = {"session_id": [f"s-{n:09d}" for n in range(len(lengths))]}
        texts["item_id"] = [f"i-{n:09d}" for n in range(num_items)]
        columns = {name: pa.array(texts[name]).take(pa.array(codes)) for name, codes in columns.items()}
    return pa.table({**columns, "timestamp": timestamp[order]})


def zipf_dataset(output: Path, num_events: int, num_items: int, mean_length: float) -> InteractionDataset:
    """Converts a log of `zipf_log` to a dataset whose only split is `train`."""
    options = ConversionOptions(
        output=str(output),
        session_col="session_id",
        time_unit="ms",
        split="random_user",
        valid_fraction=0.0,
        test_fraction=0.0,
    )
    convert(options, table=zipf_log(num_events, num_items, mean_length))
    return InteractionDataset.open(output)
