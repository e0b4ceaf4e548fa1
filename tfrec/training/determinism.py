"""Seeds and deterministic kernels."""

from __future__ import annotations

import keras
import tensorflow as tf


def set_determinism(seed: int, *, deterministic: bool) -> None:
    """Seeds every generator; with `deterministic`, also selects deterministic kernels (slower on GPU)."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
