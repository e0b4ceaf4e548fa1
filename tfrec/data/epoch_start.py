"""Where one pass over the training data begins."""

from __future__ import annotations

from typing import NamedTuple


class EpochStart(NamedTuple):
    """Where an iteration begins: number of the epoch from 0, and blocks (or batches) of it that are done."""

    epoch: int
    block: int
