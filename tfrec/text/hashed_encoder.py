"""A text encoder that needs nothing: words and pairs of words, hashed into a few signed places each."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError

_WORD = re.compile(r"\w+(?:'\w+)*")
_PLACES = 4


class HashedEncoder:
    """Vectors of words and pairs of neighbouring words, weight 1 + ln(count), scaled to length 1.

    Every word or pair adds plus or minus its weight at four places that its hash gives (a sparse random
    projection), so that products of vectors come close to those of word counts. It knows words, not meanings: texts
    without common words are strangers. No fitting: a text gives the same vector everywhere and always.

    Args:
        dim: Length of the vectors.

    Raises:
        ConfigError: `dim` is below 8.

    Reference:
        Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009; Achlioptas,
        "Database-friendly random projections", 2003.

    Example:
        >>> vectors = HashedEncoder(256).encode(["Heat. Genres: Crime.", "Genres: Crime.", "Elf. Genres: Comedy."])
        >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
        True
    """

    def __init__(self, dim: int = 384) -> None:
        if dim < 8:
            raise ConfigError(f"`dim` is {dim}: fewer than 8 places cannot tell words apart.")
        self.dim = dim

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns one vector per text, float32 `[texts, dim]`; a text without words gives zeros."""
        rows, weights, digests = [], [], []
        for row, text in enumerate(texts):
            words = _WORD.findall(text.lower())
            counts = Counter([*words, *(f"{one} {two}" for one, two in itertools.pairwise(words))])
            for term, count in counts.items():
                digests.append(hashlib.blake2b(term.encode(), digest_size=4 * _PLACES).digest())
                rows += [row] * _PLACES
                weights += [1.0 + np.log(count)] * _PLACES
        code = np.frombuffer(b"".join(digests), "<u4").astype(np.int64)  # [places]
        sign = np.where(code & 1, 1.0, -1.0) * np.array(weights)
        cell = np.array(rows, np.int64) * self.dim + (code >> 1) % self.dim
        summed = np.bincount(cell, sign, minlength=len(texts) * self.dim).reshape(-1, self.dim)  # [texts, dim]
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        vectors: npt.NDArray[np.float32] = (summed / np.maximum(length, 1e-12)).astype(np.float32)
        return vectors

    def describe(self) -> dict[str, Any]:
        """Returns name and settings."""
        return {"encoder": "hashed", "dim": self.dim}
