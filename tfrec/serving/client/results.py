"""What the client returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LOWEST_SCORE = float(np.finfo(np.float32).min)
"""Score of what is no item: unknown ids, and places of lists without an item. Minus infinity is no JSON."""

Id = int | str
"""A raw id: int64 or a string, as in the log the model was trained on."""


@dataclass(frozen=True)
class RankedItem:
    """One recommendation.

    Attributes:
        item: Raw id.
        score: Score of the model; comparable within one list only.
    """

    item: Id
    score: float


@dataclass(frozen=True)
class ItemVectors:
    """Vectors of items; the score of an item is `user vector . vector + bias`.

    Attributes:
        vector: float32 `[items, dim]`.
        bias: float32 `[items]`.
    """

    vector: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]


@dataclass(frozen=True)
class SessionStep:
    """The state of sessions after one more event each, and what to recommend now.

    Attributes:
        state: One array `[sessions, units]` per layer; the input of the next step.
        ranked: One ranked list per session.
    """

    state: tuple[npt.NDArray[np.float32], ...]
    ranked: list[list[RankedItem]]


def ranked_lists(outputs: Mapping[str, npt.NDArray[Any]]) -> list[list[RankedItem]]:
    """Returns the lists of `items` and `scores` `[rows, k]`, cut to `count` `[rows]`."""
    rows = zip(outputs["items"].tolist(), outputs["scores"].tolist(), outputs["count"].tolist(), strict=True)
    return [list(map(RankedItem, items[:count], scores[:count])) for items, scores, count in rows]
