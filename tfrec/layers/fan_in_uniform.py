"""Initial weights of dense layers as PyTorch draws them."""

from __future__ import annotations

import math

from tfrec.layers.initializers import GateInitializer


def fan_in_uniform(fan_in: int, seed: int) -> GateInitializer:
    """Returns the initialiser U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for kernels and biases alike.

    Args:
        fan_in: Number of inputs of a unit.
        seed: Seed.
    """
    return GateInitializer(1, bound=1.0 / math.sqrt(fan_in), seed=seed)
