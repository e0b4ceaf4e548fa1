"""Users' texts that know what is to be predicted: of unknown provenance, or made from the targets of training."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tfrec.data.text_vectors import TextVectors
from tfrec.training import text_provenance
from tfrec.training.model_store import run_config


@pytest.mark.parametrize(
    ("provenance", "source", "last_events", "knows", "warned"),
    [
        ("unknown", {"encoder": "file"}, 0, None, "nobody knows"),
        ("train_only", {"skip_last": 0}, 0, True, "learns to predict"),
        ("train_only", {"texts": {"skip_last": 1}}, 0, True, "learns to predict"),  # any event is a target
        ("train_only", {"texts": {"skip_last": 1}}, 2, True, "learns to predict"),
        ("train_only", {"skip_last": 2}, 2, False, ""),
    ],
)
def test_what_texts_of_users_have_seen(
    provenance: Any,
    source: dict[str, Any],
    last_events: int,
    knows: bool | None,
    warned: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = TextVectors("profiles", np.eye(4, dtype=np.float32), provenance, source)
    monkeypatch.setattr(text_provenance, "read_user_vectors", lambda _dataset, _name: texts)
    settings = ["model.retriever.user_texts=profiles", f"joint.last_events={last_events}"]
    config: Any = run_config("ur4rec", assignments=settings)
    said = io.StringIO()
    found = text_provenance.text_provenance(config, None, Console(file=said, width=200))  # type: ignore[arg-type]
    assert found["users"]["knows_training_targets"] is knows
    assert ("WARNING" in said.getvalue()) == bool(warned)
    assert warned in said.getvalue()
