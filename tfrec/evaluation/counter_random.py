"""Random numbers that depend on nothing but keys: the same on every machine, in any order, for any batch size."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_STEP = np.array(0x9E3779B97F4A7C15, np.uint64)
_FIRST = np.array(0xBF58476D1CE4E5B9, np.uint64)
_SECOND = np.array(0x94D049BB133111EB, np.uint64)


def mixed(keys: Keys, *others: Any) -> Keys:
    """Combines keys with further integers to well-mixed 64-bit keys.

    Args:
        keys: uint64 of any shape.
        *others: Integers or integer arrays that broadcast against `keys`, 0 or greater.

    Returns:
        uint64 of the broadcast shape.

    Reference: the finaliser of SplitMix64; Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014.
    """
    state = np.atleast_1d(keys)
    for other in (0, *others):
        state = state + _STEP * (np.asarray(other).astype(np.uint64) + np.array(1, np.uint64))
        state = (state ^ (state >> np.array(30, np.uint64))) * _FIRST
        state = (state ^ (state >> np.array(27, np.uint64))) * _SECOND
        state = state ^ (state >> np.array(31, np.uint64))
    return state


def uniforms(keys: Keys) -> NDArray[np.float64]:
    """Returns numbers in [0, 1) from well-mixed keys, of the same shape."""
    return (keys >> np.array(11, np.uint64)) * 2.0**-53


def id_keys(raw_ids: NDArray[Any]) -> Keys:
    """Returns a key per raw id: the integer itself, or the first 8 bytes of the BLAKE2b digest of a string.

    Args:
        raw_ids: int64, str or bytes, `[n]`.

    Returns:
        uint64 `[n]`.
    """
    if np.issubdtype(raw_ids.dtype, np.integer):
        return raw_ids.astype(np.int64).view(np.uint64)
    texts = (text if isinstance(text, bytes) else str(text).encode() for text in raw_ids)
    digests = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
