"""The demonstration of long-term interest: what it replaces, what it leaves, and a vector that is not there."""

from __future__ import annotations

import importlib.util
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfrec.errors import TfrecError

_SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "long_term_demo.py"


@pytest.fixture
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("long_term_demo", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("overwrite", [False, True])
def test_it_replaces_only_what_it_may(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    calls: dict[str, tuple[Any, ...]] = {}
    monkeypatch.setattr(demo, "run_module", lambda module, *arguments, **environment: calls.update({module: arguments}))
    monkeypatch.setattr(demo, "_read_back", lambda url, users: None)
    monkeypatch.setattr(demo, "redis_server_missing", lambda: None)
    monkeypatch.setattr(demo, "PrivateRedis", lambda folder: nullcontext(SimpleNamespace(url=f"redis://{folder}")))
    users = SimpleNamespace(vocabulary=lambda name: SimpleNamespace(ids=np.array([7])))
    monkeypatch.setattr(demo.InteractionDataset, "open", lambda path: users)
    demo.main(source=tmp_path, redis="", config=Path("C"), output=tmp_path / "kept", overwrite=overwrite)
    assert [("--overwrite" in calls[name]) for name in ("tfrec.datasets", "tfrec.train")] == [overwrite] * 2
    assert list((tmp_path / "kept").iterdir()) == []  # nothing of its Redis


def test_a_vector_that_is_not_there(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    client = nullcontext(SimpleNamespace(get=lambda key: None))
    monkeypatch.setattr(demo.redis_client.Redis, "from_url", lambda url: client)
    with pytest.raises(TfrecError, match="no key `user:7`"):
        demo._read_back("redis://nowhere", [7])
