"""How well codebooks are used, and how many items share an id."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]


def codebook_health(codes: Codes, sizes: list[int]) -> dict[str, Any]:
    """Returns what goes wrong with codebooks, in numbers.

    Args:
        codes: Codes of every item, int32 `[items, levels]`.
        sizes: Codes of every level.

    Returns:
        `levels`: per level `size`, `used` (share of its codes), `perplexity` (codes that would be used as evenly) and
        `largest` (share of the items with the most frequent code); `collisions`: share of items whose codes another
        item has too; `largest_group`: items with the same codes.

    Example:
        >>> health = codebook_health(np.array([[0, 1], [0, 1], [1, 0], [0, 0]], np.int32), [2, 2])
        >>> health["collisions"], health["largest_group"], health["levels"][0]["used"]
        (0.5, 2, 1.0)
    """
    levels = []
    for level, size in enumerate(sizes):
        counts = np.bincount(codes[:, level], minlength=size)
        share = counts[counts > 0] / max(len(codes), 1)
        levels.append(
            {
                "size": size,
                "used": float((counts > 0).mean()),
                "perplexity": float(np.exp(-(share * np.log(share)).sum())),
                "largest": float(share.max(initial=0.0)),
            }
        )
    groups = np.unique(codes, axis=0, return_counts=True)[1]
    together = int(groups[groups > 1].sum())
    return {
        "items": len(codes),
        "levels": levels,
        "collisions": together / max(len(codes), 1),
        "largest_group": int(groups.max(initial=0)),
    }


def unique_codes(codes: Codes) -> Codes:
    """Appends a level that tells items with the same codes apart: 0, 1, ... in their order.

    Args:
        codes: int32 `[items, levels]`.

    Returns:
        int32 `[items, levels + 1]`, no two rows the same.
    """
    groups = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)  # [items]
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.searchsorted(ordered, ordered)  # where the group of each begins
    last = np.empty(len(codes), np.int32)
    last[order] = np.arange(len(codes)) - first
    return np.concatenate([codes, last[:, np.newaxis]], axis=1)
