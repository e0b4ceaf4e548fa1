"""Which splits the rule of a conversion makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.data.impressions.impression_options import ImpressionOptions
from tfx_pipeline.impressions.roles import ROLES


def makes_valid(conversion: Mapping[str, Any]) -> bool:
    """Returns whether the split rule makes a validation split."""
    if ROLES in conversion:
        return _of_impressions(conversion, "valid")
    rule = conversion.get("split")
    if rule == "given" or conversion.get("train"):
        return bool(conversion.get("valid"))
    if rule is None:
        by_session = bool(conversion.get("session_col") or conversion.get("session_gap"))
        rule = "session_time" if by_session or not conversion.get("user_col") else "global_time"
    if rule in ("leave_one_out", "random_user"):
        return True
    if rule == "global_time" and not conversion.get("test_days"):
        return conversion.get("valid_fraction") != 0
    return bool(conversion.get("valid_days"))


def makes_test(conversion: Mapping[str, Any]) -> bool:
    """Returns whether the split rule makes a test split; that of sequences always does."""
    return _of_impressions(conversion, "test") if ROLES in conversion else True


def _of_impressions(conversion: Mapping[str, Any], split: str) -> bool:
    rule = conversion.get("split")
    if rule == "given" or conversion.get("train"):
        return bool(conversion.get(split))
    name = f"{split}_days" if rule == "day" else f"{split}_fraction"
    return conversion.get(name, ImpressionOptions.model_fields[name].default) > 0
