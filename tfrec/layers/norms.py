"""The two norms of encoders under their names in configurations."""

from __future__ import annotations

from typing import Any

import keras

from tfrec.layers.rms_norm import RMSNorm


def norm_layer(kind: str, *, epsilon: float, scale: bool = True, name: str, dtype: Any = None) -> Any:
    """Returns a norm over the last axis, not built yet.

    Args:
        kind: `layer`, or `rms` for the root mean square.
        epsilon: Added to the variance or mean square.
        scale: Learned scale (and, for `layer`, shift).
        name: Name of the layer.
        dtype: Policy of the layer.
    """
    if kind == "rms":
        return RMSNorm(epsilon=epsilon, scale=scale, name=name, dtype=dtype)
    return keras.layers.LayerNormalization(epsilon=epsilon, center=scale, scale=scale, name=name, dtype=dtype)
