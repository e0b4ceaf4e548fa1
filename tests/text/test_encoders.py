"""Text encoders: the one that needs nothing, and the one whose package is not here."""

from __future__ import annotations

import itertools
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfrec.errors import ConfigError
from tfrec.text.hashed_encoder import HashedEncoder
from tfrec.text.text_encoder import make_encoder

TEXTS = ["Heat. Genres: Crime, Action.", "Alien. Genres: Horror, Action.", "Elf. Elf elf.", "", "Größe ☃ isn't"]


def counted(text: str) -> Counter[str]:
    """Words and pairs of the texts above, by hand."""
    words = [word.strip(".,:☃") for word in text.lower().split()]
    words = [word for word in words if word]
    return Counter(words) + Counter(f"{one} {two}" for one, two in itertools.pairwise(words))


def test_products_come_close_to_those_of_word_counts() -> None:
    vectors = HashedEncoder(4096).encode(TEXTS)
    assert vectors.shape == (5, 4096)
    assert vectors.dtype == np.float32
    terms = sorted({term for text in TEXTS for term in counted(text)})
    exact = np.array([[1 + np.log(counted(text)[t]) if counted(text)[t] else 0.0 for t in terms] for text in TEXTS])
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    exact /= np.maximum(length, 1e-12)
    np.testing.assert_allclose(vectors @ vectors.T, exact @ exact.T, atol=0.06)
    assert not vectors[3].any()
    assert exact[0] @ exact[1] == pytest.approx(2 / 7)  # genres and action, of four words and three pairs each


def test_a_text_has_the_same_vector_whatever_is_beside_it() -> None:
    encoder = HashedEncoder(64)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_array_equal(encoder.encode(TEXTS), alone)
    # "elf" three times and "elf elf" twice: their places weigh 1 + ln 3 and 1 + ln 2.
    weights = np.array([1 + np.log(3), 1 + np.log(2)])
    found = np.unique(np.round(np.abs(HashedEncoder(4096).encode(["Elf. Elf elf."])[0]), 5))
    np.testing.assert_allclose(found, [0, *np.sort(weights / np.sqrt(4 * (weights**2).sum()))], atol=2e-5)


def test_names_and_settings() -> None:
    assert make_encoder("hashed", dim=16).describe() == {"encoder": "hashed", "dim": 16}
    with pytest.raises(ConfigError, match="Did you mean `hashed`"):
        make_encoder("hash")
    with pytest.raises(ConfigError, match="--model"):
        make_encoder("hashed", model="x")
    with pytest.raises(ConfigError, match="fewer than 8"):
        make_encoder("hashed", dim=4)
    with pytest.raises(ConfigError, match="Which sentence encoder"):
        make_encoder("sentence-transformers")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match="extra `text`"):
        make_encoder("sentence-transformers", model="all-MiniLM-L6-v2")


def test_models_are_fetched_only_when_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for the package: it has one model on the disk and can fetch another."""
    asked: list[tuple[str, bool]] = []

    class StandIn:
        def __init__(self, model: str, *, local_files_only: bool) -> None:
            asked.append((model, local_files_only))
            if local_files_only and not Path(model).is_dir():
                raise OSError("not found\nsecond line")

        def get_sentence_embedding_dimension(self) -> int:
            return 2

        def encode(self, texts: list[str], **options: Any) -> Any:
            assert options["normalize_embeddings"]
            return np.array([[len(text), 1.0] for text in texts])

    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=StandIn))
    with pytest.raises(ConfigError, match=r"`mini` cannot be loaded: not found Pass the directory .* --download"):
        make_encoder("sentence-transformers", model="mini")
    encoder = make_encoder("sentence-transformers", model="mini", download=True)
    make_encoder("sentence-transformers", model=str(tmp_path), download=True)
    assert asked == [("mini", True), ("mini", False), (str(tmp_path), True)]
    assert encoder.dim == 2
    assert encoder.encode(["abc", ""]).tolist() == [[3, 1], [0, 1]]
    assert encoder.describe() == {"encoder": "sentence-transformers", "model": "mini", "dim": 2}
