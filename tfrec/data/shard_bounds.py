"""How a split is cut into shards."""

from __future__ import annotations

SEQUENCES_PER_SHARD = 50_000
MOST_SHARDS = 64


def shard_bounds(sequences: int, shards: int | None) -> list[int]:
    """Returns where shards begin, and the end: contiguous chunks of nearly equal numbers of sequences.

    Args:
        sequences: Sequences of the split.
        shards: Number of shards; None = one per 50,000 sequences, at most 64. Never more than sequences.

    Example:
        >>> shard_bounds(10, 3)
        [0, 3, 6, 10]
    """
    count = shards if shards is not None else min(MOST_SHARDS, -(-sequences // SEQUENCES_PER_SHARD))
    count = max(1, min(count, sequences))
    return [number * sequences // count for number in range(count + 1)]
