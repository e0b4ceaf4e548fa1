"""What the export of a click model looks like."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tfrec.config.strict_model import StrictModel

InputType = Literal["text", "int64", "float"]
"""What clients send as the values of a column."""


class ClickExportConfig(StrictModel):
    """Probabilities and inputs of a SavedModel."""

    calibrate: Literal["none", "balanced"] = Field(
        "none", description="balanced: as if there were as many clicks as other rows, like `tfrec.predict --calibrate`."
    )
    types: dict[str, InputType] = Field(
        default_factory=dict,
        description="Types of inputs by column, e.g. {inventory_id: int64}; default: numbers float, all others text.",
    )
