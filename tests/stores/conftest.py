"""A private redis-server, and vectors to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfrec.benchmarks.private_redis import PrivateRedis, redis_server_missing
from tfrec.stores.redis.key_template import KeyTemplate
from tfrec.stores.redis.publish_settings import PublishSettings
from tfrec.stores.redis.redis_store import RedisVectorStore
from tfrec.stores.vector_description import VectorDescription
from tfrec.stores.vector_source import ArraySource


@pytest.fixture
def short_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose path is short enough for a Unix socket."""
    return tmp_path_factory.mktemp("r")


@pytest.fixture
def start_redis(short_tmp: Path) -> Iterator[Callable[..., PrivateRedis]]:
    """Starts redis-servers with options; all end with the test."""
    missing = redis_server_missing()
    if missing:
        pytest.skip(missing)
    servers: list[PrivateRedis] = []

    def start(*options: str) -> PrivateRedis:
        servers.append(PrivateRedis(short_tmp / str(len(servers)), *options))
        return servers[-1].__enter__()

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def server(start_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    """An empty redis-server without persistence."""
    return start_redis()


@pytest.fixture
def make_store(server: PrivateRedis) -> Callable[..., RedisVectorStore]:
    """Makes stores at the server from settings, a key template and a prefix."""

    def make(*, template: str | None = None, prefix: str = "tfrec", url: str = "", **settings: Any) -> RedisVectorStore:
        keys = KeyTemplate(prefix=prefix) if template is None else KeyTemplate(template, prefix)
        return RedisVectorStore(url or server.url, template=keys, settings=PublishSettings(**settings))

    return make


def source(ids: Any, vectors: Any = None, *, dim: int = 4, seed: int = 0, **about: Any) -> ArraySource:
    """Returns vectors, random ones unless given."""
    if vectors is None:
        vectors = np.random.default_rng(seed).standard_normal((len(ids), dim)).astype(np.float32)
    description = {"kind": "items", "count": 1, "dim": 1, "id_type": "int64", "origin": f"seed {seed}", **about}
    return ArraySource(VectorDescription(**description), ids, np.asarray(vectors, np.float32))
