"""What vectors are, independent of where they are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["users", "items", "memories"]
"""Vectors of users and of items, which go together, and memories of users, which stand for themselves."""


class VectorDescription(BaseModel):
    """What a set of vectors is.

    Attributes:
        kind: Whose vectors they are.
        count: Number of vectors.
        dim: Components of each.
        id_type: Type of their raw ids.
        model: Registered name of the model.
        model_version: Checkpoint they were computed with; vectors of users and items belong together only when equal.
        schema_hash: Schema hash of the data set the model was trained on.
        normalised: Whether every vector has length 1.
        bias_appended: Whether the last component is the item's bias (of users: 1), so that products are the model's
            scores.
        origin: Text that is equal only for equal content; an interrupted publication is continued only with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    kind: Kind
    count: int = Field(ge=0)
    dim: int = Field(ge=1)
    id_type: Literal["int64", "string"]
    model: str = ""
    model_version: str = ""
    schema_hash: str = ""
    normalised: bool = False
    bias_appended: bool = False
    origin: str = ""
