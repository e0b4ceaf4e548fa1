"""A new version takes over while a client is at work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.serving.server.model_server import ModelServer
from tests.serving.tiny_model import INT_IDS, TEXT_IDS, TinyModel
from tfrec.errors import ConfigError, ServingError
from tfrec.serving.client import RecommenderClient

MODELS = {"1": TinyModel(INT_IDS), "4": TinyModel(INT_IDS, seed=5), "11": TinyModel(TEXT_IDS)}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    for version, model in MODELS.items():
        model.save(folder / version, without=["session_step"] if version == "1" else [])
    return folder


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_client_follows(server: ModelServer, exports: Path, kind: str) -> None:
    url = server.grpc_url if kind == "grpc" else server.rest_url
    name = f"moving-{kind}"
    first, second, third = MODELS.values()

    def publish(version: str) -> None:
        partial = server.root / name / f".{version}.partial"
        shutil.copytree(exports / version, partial)
        partial.rename(server.root / name / version)
        server.wait_for(name, int(version))

    publish("1")
    with RecommenderClient(url, model=name, timeout=120) as client:

        def best(history: list, k: int = 3) -> list:
            return [found.item for found in client.recommend(history, k)]

        def expected(model: TinyModel, history: list) -> list:
            return [item for item, _ in model.top(history, 3)]

        history = INT_IDS[:2]
        assert best(history) == expected(first, history) != expected(second, history)
        with pytest.raises(ServingError, match="no such signature"):
            client.session_step([5])
        publish("4")
        assert best(history) == expected(second, history)
        assert [(entry.version, entry.state) for entry in client.status()] == [(4, "AVAILABLE"), (1, "END")]
        assert len(client.session_step([5]).ranked) == 1  # signatures are asked for again
        publish("11")  # 11 is newer than 4, and its ids are strings
        assert best(TEXT_IDS[:2]) == expected(third, TEXT_IDS[:2])
        with pytest.raises(ConfigError, match="are strings"):
            best(history)
        shutil.rmtree(server.root / name / "11")  # taken back: the one before it returns
        server.wait_for(name, 4)
        assert best(history) == expected(second, history)


def test_a_broken_version_leaves_the_old_one_in_service(server: ModelServer) -> None:
    oracle = TinyModel(INT_IDS)
    oracle.save(server.root / "careful" / "1")
    server.wait_for("careful", 1)
    (server.root / "careful" / "2").mkdir()
    with pytest.raises(TimeoutError, match="SavedModel"):
        server.wait_for("careful", 2)
    with RecommenderClient(server.grpc_url, model="careful", timeout=120) as client:
        assert [found.item for found in client.recommend([5], 2)] == [item for item, _ in oracle.top([5], 2)]
        newest = client.status()[0]
        assert (newest.version, newest.state) == (2, "END")
        assert "SavedModel" in newest.error
