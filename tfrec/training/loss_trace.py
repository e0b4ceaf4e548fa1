"""The loss of every epoch beside a published one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def compare_loss_trace(losses: Sequence[float], published: Sequence[float]) -> dict[str, Any]:
    """Compares the loss of every epoch with published ones.

    Args:
        losses: Loss per epoch of this run.
        published: Loss per epoch elsewhere.

    Returns:
        `relative`: signed relative difference per epoch that both have; `largest`: the largest absolute one.
    """
    relative = [ours / theirs - 1.0 for ours, theirs in zip(losses, published, strict=False)]
    return {"relative": relative, "largest": max((abs(value) for value in relative), default=0.0)}
