"""How often each item is recommended: the raw material of coverage, Gini index and popularity bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_LIST_LENGTH = 100


@dataclass(frozen=True)
class TopLists:
    """Counts over the lists of best candidates, one list per target.

    Args:
        num_lists: Number of lists.
        counts: By cut-off k: in how many top-k lists each item index is, int64 `[vocab]`.
    """

    num_lists: int
    counts: dict[int, NDArray[np.int64]]

    def coverage(self, cutoff: int, num_candidates: int) -> float:
        """Returns the share of the candidates that are in at least one top-k list."""
        return float((self.counts[cutoff] > 0).sum() / num_candidates)

    def gini(self, cutoff: int, num_candidates: int) -> float:
        """Returns the Gini index of the counts over the candidates: 0 when all are recommended equally often.

        With counts c_1 <= ... <= c_N it is sum over i of (2 i - N - 1) c_i, over N times the sum of all c_i.
        """
        counts = np.sort(self.counts[cutoff])[-num_candidates:].astype(np.float64)  # [candidates]
        order = 2.0 * np.arange(1, counts.size + 1) - counts.size - 1.0
        return float(order @ counts / (counts.size * max(1.0, counts.sum())))

    def popularity(self, cutoff: int, item_counts: NDArray[np.int64]) -> float:
        """Returns the mean number of training events of the recommended items.

        Args:
            cutoff: Length of the lists.
            item_counts: Training events by item index, `[vocab]`.
        """
        counts = self.counts[cutoff]
        return float(counts @ item_counts / max(1, counts.sum()))

    def overlap(self, cutoff: int) -> float | None:
        """Returns the mean share of items that two different lists have in common; None for a single list.

        An item in c of n lists is shared by c (c - 1) of the n (n - 1) ordered pairs.
        """
        if self.num_lists < 2:
            return None
        counts = self.counts[cutoff].astype(np.float64)
        pairs = self.num_lists * (self.num_lists - 1.0)
        return float((counts * (counts - 1.0)).sum() / (pairs * cutoff))


class TopListCounter:
    """Counts top lists batch by batch.

    Args:
        vocab_size: Number of item indices.
        cutoffs: Lengths that are counted.
    """

    def __init__(self, vocab_size: int, cutoffs: Sequence[int]) -> None:
        self.num_lists = 0
        self._counts = {cutoff: np.zeros(vocab_size, np.int64) for cutoff in sorted(cutoffs)}

    @property
    def length(self) -> int:
        """The longest list that is needed."""
        return max(self._counts, default=0)

    def add(self, items: NDArray[np.int32]) -> None:
        """Takes lists of item indices, best first, -1 where a list ends early, `[lists, length]`."""
        self.num_lists += len(items)
        for cutoff, counts in self._counts.items():
            top = items[:, :cutoff]
            counts += np.bincount(top[top >= 0], minlength=counts.size)

    def lists(self) -> TopLists | None:
        """Returns what was counted; None when no cut-off was asked for."""
        return TopLists(self.num_lists, self._counts) if self._counts else None


def list_cutoffs(cutoffs: Sequence[int], num_candidates: int) -> list[int]:
    """Returns the cut-offs for which lists are made: up to 100 and to the number of candidates."""
    return [cutoff for cutoff in sorted(cutoffs) if cutoff <= min(MAX_LIST_LENGTH, num_candidates)]
