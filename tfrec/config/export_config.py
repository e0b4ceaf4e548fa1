"""What an export looks like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from tfrec.config.index_config import IndexConfig
from tfrec.config.load import load_section
from tfrec.config.strict_model import StrictModel


class ExportConfig(StrictModel):
    """Length of lists and index of a SavedModel."""

    k: int = Field(100, ge=1, description="Items of a list where the request cannot say how many.")
    index: IndexConfig = Field(default_factory=IndexConfig)
    rank_targets: bool = Field(
        False, description="Also signatures that rank the targets of raw examples, for TensorFlow Model Analysis."
    )


def load_export_config(
    base: Mapping[str, Any] | None = None, assignments: Iterable[str] = (), *, flag: str = "--set"
) -> ExportConfig:
    """Builds the configuration of an export.

    Args:
        base: Settings of an earlier export. Default: none.
        assignments: `a.b=value` texts that override them.
        flag: Where the assignments come from, for error messages.

    Raises:
        ConfigError: An unknown key (the closest known one is named), or a value outside its domain.
    """
    earlier = None if base is None else ("the earlier export", base)
    return load_section(ExportConfig, assignments, flag=flag, base=earlier)
