"""Which columns of an impression log play which role, and how their values become features."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tfrec.config.strict_model import StrictModel

_NAME = re.compile(r"[A-Za-z_*?][A-Za-z0-9_.*?-]*")


class CategoricalColumn(StrictModel):
    """A column of ids: text, whole numbers or truth values."""

    name: str = Field(description="Column.")
    min_count: int | None = Field(None, ge=1, description="Rarer values are out of vocabulary; null: as the schema.")
    vocabulary: str | None = Field(None, description="Name of a vocabulary to share with other columns; null: its own.")


class NumericColumn(StrictModel):
    """A column of numbers."""

    name: str = Field(description="Column, or a pattern such as `history_*`.")
    scaling: Literal["min_max", "quantile", "none"] | None = Field(None, description="null: as the schema.")
    missing: float = Field(0.0, description="What a missing value counts as, before scaling.")


class SequenceColumn(StrictModel):
    """A column of lists: a Parquet list, or text with a separator."""

    name: str = Field(description="Column.")
    separator: str = Field(",", min_length=1, description="Between the values of a list held in text.")
    max_length: int = Field(500, ge=1, description="Values that are kept of a longer list.")
    keep: Literal["last", "first"] = Field("last", description="Which end of a longer list is kept.")
    kind: Literal["ids", "numbers"] = Field("ids", description="ids with a vocabulary, or numbers.")
    min_count: int | None = Field(None, ge=1, description="Rarer ids are out of vocabulary; null: as the schema.")
    vocabulary: str | None = Field(None, description="Name of a vocabulary to share with other columns; null: its own.")
    scaled_as: str | None = Field(None, description="Numeric column whose scaling the numbers share; null: unscaled.")


class ImpressionSchema(StrictModel):
    """Roles of the columns of an impression log, as read from a YAML file.

    Columns that are not named are not read. A name alone stands for a column with the settings of the schema.
    """

    label: str = Field("clicked", description="Column of the outcome, 0 or 1.")
    id: str | None = Field(None, description="Column that names a row in files to be predicted.")
    categorical: list[CategoricalColumn] = Field(default_factory=list)
    numeric: list[NumericColumn] = Field(default_factory=list)
    sequence: list[SequenceColumn] = Field(default_factory=list)
    min_count: int = Field(1, ge=1, description="Rarer ids are out of vocabulary, unless a column says otherwise.")
    scaling: Literal["min_max", "quantile", "none"] = Field("min_max", description="Of numbers, unless a column says.")

    @property
    def feature_columns(self) -> list[str]:
        """Columns that features are made of."""
        parts: list[CategoricalColumn | NumericColumn | SequenceColumn] = [*self.categorical, *self.numeric]
        return [part.name for part in [*parts, *self.sequence]]

    @field_validator("categorical", "numeric", "sequence", mode="before")
    @classmethod
    def _names_alone(cls, columns: Any) -> Any:
        if not isinstance(columns, list):
            return columns
        return [{"name": column} if isinstance(column, str) else column for column in columns]

    @model_validator(mode="after")
    def _consistent(self) -> ImpressionSchema:
        names = self.feature_columns
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"`{name}` is no column name")
            if name in (self.label, self.id):
                raise ValueError(f"`{name}` is the label or the id and cannot be a feature")
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"`{sorted(twice)[0]}` is named twice")
        if not names:
            raise ValueError("there are no features: name columns under categorical, numeric or sequence")
        numbers = {column.name for column in self.numeric}
        for sequence in self.sequence:
            if sequence.scaled_as is not None and (sequence.kind != "numbers" or sequence.scaled_as not in numbers):
                raise ValueError(f"`{sequence.name}`: scaled_as is for numbers and names a numeric column")
        return self
