"""Independent streams of random numbers from one seed."""

from __future__ import annotations

import zlib

import numpy as np


def derive_seed(seed: int, purpose: str, *counters: int) -> int:
    """Returns a seed of its own for one purpose, so that neighbouring run seeds share no stream.

    Args:
        seed: Seed of the run.
        purpose: What is drawn, for example `items` or `dropout`.
        *counters: Further numbers that tell streams apart, for example an epoch.

    Returns:
        A number in [0, 2^31).

    Example:
        >>> derive_seed(1, "items") != derive_seed(0, "gates")
        True
    """
    sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *counters])
    return int(sequence.generate_state(1)[0] >> 1)
