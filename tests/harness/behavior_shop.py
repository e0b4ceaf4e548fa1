"""A tiny behaviour log as a data set: users, items with categories, kinds of behaviour, hours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrec.config.behavior_log_config import BehaviorLogConfig
from tfrec.data.behavior_log import BehaviorLog
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset

TINY_LOG = BehaviorLogConfig(
    num_users=40, num_categories=6, styles_per_category=2, items_per_style=4, mean_events=25, max_events=40
)
TINY_MODEL: dict[str, Any] = {
    "long_length": 12,
    "short_length": 4,
    "item_dim": 6,
    "item_feature_dim": 4,
    "event_feature_dim": 3,
    "dim": 8,
    "depth": 1,
    "heads": 2,
    "head_dim": 4,
    "experts": 3,
    "expert_hidden": 5,
}


def behavior_shop(
    folder: Path, config: BehaviorLogConfig = TINY_LOG, events: Any = None, **options: Any
) -> InteractionDataset:
    """Converts a log of users with stable interests; the last event of a user is test, the one before valid."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    log = BehaviorLog(config)
    pq.write_table(log.items(), folder / "items.parquet")
    settings: dict[str, Any] = {
        "output": str(folder / "DS"),
        "user_col": "user_id",
        "time_col": "time",
        "split": "leave_one_out",
        "unknown_items": "keep",
        "items": (str(folder / "items.parquet"),),
        "event_features": ("behavior_type",),
        **options,
    }
    convert(ConversionOptions(**settings), table=log.events() if events is None else events)
    return InteractionDataset.open(settings["output"])
