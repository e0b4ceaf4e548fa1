"""Sentence encoders of the package sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError

_BATCH = 64


class SentenceEncoder:
    """A pretrained sentence encoder, frozen; vectors are scaled to length 1.

    Nothing is fetched unless asked for: without `download` a model must be a directory, or have been fetched before.

    Args:
        model: Directory of a saved model, or its name, for example `sentence-transformers/all-MiniLM-L6-v2`.
        download: Fetch the model when it is not here.

    Raises:
        ConfigError: The package is not installed, or the model is not here, cannot be fetched or is damaged.

    Reference:
        Reimers and Gurevych, "Sentence-BERT", EMNLP 2019.
    """

    def __init__(self, model: str, *, download: bool = False) -> None:
        if not model:
            raise ConfigError("Which sentence encoder?", remedy="Pass --model DIRECTORY or --model NAME.")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(
                f"The package sentence-transformers cannot be imported ({error}).",
                remedy="Install the extra `text` (uv sync --extra text), pass ready vectors with --vectors, or use "
                "--encoder hashed.",
            ) from error
        here = Path(model).is_dir()
        try:
            self._model = SentenceTransformer(model, local_files_only=here or not download)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            remedy = "Pass the directory of a saved model"
            remedy += "." if here or download else ", or --download to fetch it."
            problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"The sentence encoder `{model}` cannot be loaded: {problem}", remedy=remedy) from error
        self._name = model

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self._model.get_sentence_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns one vector per text, float32 `[texts, dim]`."""
        found = self._model.encode(
            list(texts), batch_size=_BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(found, np.float32)

    def describe(self) -> dict[str, Any]:
        """Returns name and settings."""
        return {"encoder": "sentence-transformers", "model": self._name, "dim": self.dim}
