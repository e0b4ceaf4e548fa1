"""Flags of the pipeline's command for impressions, as `tfrec.convert --impressions` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec.config.click_export_config import ClickExportConfig
from tfrec.config.load import read_yaml
from tfrec.config.run_config import ImpressionRunConfig, RunConfig
from tfrec.data.impressions.impression_options import check_split_flags, impression_options
from tfrec.errors import ConfigError
from tfx_pipeline.impressions.roles import ROLES

SEQUENCES_ONLY = {
    "user_col": None,
    "session_col": None,
    "item_col": "item_id",
    "time_col": "timestamp",
    "time_unit": "auto",
    "session_gap": None,
    "where": (),
    "min_item_count": 1,
    "min_seq_len": 2,
    "filter_mode": "fixpoint",
    "drop_consecutive_duplicates": False,
    "split_time": None,
    "unknown_items": "drop",
    "event_features": (),
}
"""Flags of the command that impressions do not have, with their defaults."""


def impression_flags(schema: Path, flags: Mapping[str, Any], day_col: str | None) -> dict[str, Any]:
    """Returns the flags of a conversion of impressions.

    Args:
        schema: YAML file with the roles of columns.
        flags: All flags of the command that are about the data, those of sequences with their defaults.
        day_col: Column of days.

    Raises:
        ConfigError: A flag is for sequences, has no valid value or does not go with another one.
    """
    for name, default in SEQUENCES_ONLY.items():
        if flags.get(name, default) != default:
            raise ConfigError(
                f"`--{name.replace('_', '-')}` is for sequences, not for impressions.", remedy="Leave it out."
            )
    given = {name: value for name, value in flags.items() if name not in SEQUENCES_ONLY and value not in (None, ())}
    rule = given.pop("split", None) or ("given" if given.get("train") else "day" if day_col else "random")
    check_split_flags(given, rule)
    for name in ("valid_days", "test_days"):
        if name in given:
            given[name] = int(given[name]) if float(given[name]).is_integer() else given[name]
    found = {**given, ROLES: read_yaml(schema), "split": rule}
    if day_col is not None:
        found["day_column"] = day_col
    impression_options(output="examples", **found)  # for its messages
    return found


def check_export(config: ClickExportConfig) -> None:
    """Raises ConfigError where the export would not take raw examples as the pipeline writes them."""
    if config.types:
        raise ConfigError(
            "`--export types` does not work in the pipeline: raw examples hold ids as text and numbers as floats.",
            remedy="Leave it out: clients send text, such as `7`, too; or use tfrec.export.",
        )


def check_kind(config: RunConfig, conversion: Mapping[str, Any]) -> None:
    """Raises ConfigError unless click models get impressions, and models that rank sequences."""
    name = config.model.name
    if isinstance(config, ImpressionRunConfig) and ROLES not in conversion:
        raise ConfigError(
            f"`{name}` predicts clicks and needs to know what the columns are.",
            remedy="Pass `--impressions SCHEMA.yaml`, for example configs/impressions/toss.yaml.",
        )
    if ROLES in conversion and not isinstance(config, ImpressionRunConfig):
        raise ConfigError(
            f"`{name}` ranks items and cannot learn of impressions.",
            remedy="Pass a click model, for example `--model feseq`, or leave out --impressions.",
        )
