"""What an export looks like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from tfrec.config.index_config import IndexConfig
from tfrec.config.load import parse_assignment
from tfrec.config.strict_model import StrictModel, canonical_keys
from tfrec.errors import ConfigError


class ExportConfig(StrictModel):
    """Length of lists and index of a SavedModel."""

    k: int = Field(100, ge=1, description="Items of a list where the request cannot say how many.")
    index: IndexConfig = Field(default_factory=IndexConfig)
    rank_targets: bool = Field(
        False, description="Also signatures that rank the targets of raw examples, for TensorFlow Model Analysis."
    )


def load_export_config(base: Mapping[str, Any] | None = None, assignments: Iterable[str] = ()) -> ExportConfig:
    """Builds the configuration of an export.

    Args:
        base: Settings of an earlier export. Default: none.
        assignments: `a.b=value` texts that override them.

    Raises:
        ConfigError: An unknown key (the closest known one is named), or a value outside its domain.
    """
    values = canonical_keys(ExportConfig, base or {}, source="the earlier export")
    for text in assignments:
        for key, value in canonical_keys(ExportConfig, parse_assignment(text), source="`--set`").items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    try:
        return ExportConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"`{key}` has the value `{first['input']}`: {first['msg']}.") from error
