"""Tiny models on the server, with integer and with string ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.serving.server.model_server import ModelServer
from tests.serving.tiny_model import INT_IDS, TEXT_IDS, TinyModel
from tfrec.serving.client import RecommenderClient


@dataclass
class Served:
    """A model, its name on the server, and a client."""

    oracle: TinyModel
    name: str
    client: RecommenderClient


@pytest.fixture(scope="session")
def models(server: ModelServer) -> dict[str, TinyModel]:
    oracles = {"int64": TinyModel(INT_IDS), "string": TinyModel(TEXT_IDS, seed=1)}
    for name, oracle in oracles.items():
        oracle.save(server.root / name / "1")
    for name in oracles:
        server.wait_for(name, 1)
    return oracles


@pytest.fixture(params=["grpc", "rest"])
def url(request: pytest.FixtureRequest, server: ModelServer) -> str:
    return server.grpc_url if request.param == "grpc" else server.rest_url


@pytest.fixture(params=["int64", "string"])
def served(request: pytest.FixtureRequest, url: str, models: dict[str, TinyModel]) -> Iterator[Served]:
    with RecommenderClient(url, model=request.param, timeout=120) as client:
        yield Served(models[request.param], request.param, client)
