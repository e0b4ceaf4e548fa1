"""What turns texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError, did_you_mean
from tfrec.text.hashed_encoder import HashedEncoder


class TextEncoder(Protocol):
    """Turns texts into vectors."""

    @property
    def dim(self) -> int:
        """Length of the vectors."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns one vector per text, float32 `[texts, dim]`."""

    def describe(self) -> dict[str, Any]:
        """Returns name and settings, for reports."""


ENCODERS = ("hashed", "sentence-transformers")


def make_encoder(name: str, *, model: str = "", dim: int = 384, download: bool = False) -> TextEncoder:
    """Returns an encoder by name.

    Args:
        name: `hashed` or `sentence-transformers`.
        model: sentence-transformers: directory or name of the model.
        dim: hashed: length of the vectors.
        download: sentence-transformers: fetch the model when it is not here.

    Raises:
        ConfigError: There is no such encoder, the model or the package is not here, or a setting does not fit.
    """
    if name not in ENCODERS:
        raise ConfigError(f"There is no encoder `{name}`.", remedy=did_you_mean(name, ENCODERS))
    if name == "hashed":
        if model:
            raise ConfigError("`--model` is for sentence-transformers.", remedy="Leave it out, or change --encoder.")
        return HashedEncoder(dim)
    from tfrec.text.sentence_encoder import SentenceEncoder

    return SentenceEncoder(model, download=download)
