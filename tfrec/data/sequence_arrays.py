"""A whole split in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SequenceArrays:
    """The sequences of a split as flat numpy arrays; sequence n has events `offsets[n]` to `offsets[n + 1]`.

    Attributes:
        items: Item index of every event, int32 `[events]`.
        timestamps: Milliseconds since the epoch, int64 `[events]`.
        offsets: int64 `[sequences + 1]`.
        num_targets: How many trailing events may be predicted, int32 `[sequences]`.
        user_ids: Raw ids, int64 or object (str) `[sequences]`.
        users: User index, int32 `[sequences]`; None without a user vocabulary.
    """

    items: npt.NDArray[np.int32]
    timestamps: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    num_targets: npt.NDArray[np.int32]
    user_ids: npt.NDArray[Any]
    users: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.num_targets)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of events of each sequence, int64 `[sequences]`."""
        return np.diff(self.offsets)
