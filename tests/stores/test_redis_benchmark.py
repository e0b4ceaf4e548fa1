"""The benchmark of publishing: what it writes and checks, never how fast it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfrec.benchmarks import redis_publish
from tfrec.errors import TfrecError
from tfrec.stores.vector_directory import VectorDirectory

pytestmark = pytest.mark.one_stack

TINY = dataclasses.replace(redis_publish.QUICK, vectors=2_500, dim=8)


def in_this_process(function: str, url: str, directory: str) -> tuple[float, float]:
    return getattr(redis_publish, function)(url, directory), 100.0


@pytest.mark.redis
def test_all_cases_write_the_same_vectors(server, tmp_path):
    redis_publish._write_vectors(tmp_path / "v", TINY)
    vectors = VectorDirectory(tmp_path / "v")
    ids = vectors.ids(0, 2_500).to_pylist()
    assert len(set(ids)) == 2_500
    for loop in (redis_publish.set_loop, redis_publish.mset_loop):
        with server.client() as client:
            client.delete(*client.keys("tfrec:items:1:*") or ["none"])
            assert loop(server.url, str(tmp_path / "v")) > 0
            stored = client.mget([f"tfrec:items:1:{identity}" for identity in ids])
        assert np.array_equal(np.frombuffer(b"".join(stored), "<f4").reshape(-1, 8), vectors.vectors(0, 2_500))


@pytest.mark.redis
def test_figures_and_checks(server, short_tmp, monkeypatch):
    monkeypatch.setattr(redis_publish, "_in_own_process", in_this_process)
    report = redis_publish.run(TINY, short_tmp)
    assert [(figure.unit, len(figure.values)) for figure in report.figures] == [
        *[("vectors/s", 2)] * 3,
        ("MB, peak of the process", 2),
    ]
    assert report.figures[2].relative_to == report.figures[0].case
    assert len(report.checks) == 2
    publish = redis_publish.publish

    def damaged(url: str, directory: str) -> float:
        seconds = publish(url, directory)
        reader = redis_publish.RedisVectorStore(url).reader("items")
        reader._client.set(f"{reader.header.key_head}{VectorDirectory(directory).ids(7, 8)[0]}", b"\0" * 32)
        return seconds

    monkeypatch.setattr(redis_publish, "publish", damaged)
    with pytest.raises(TfrecError, match="reads back as it was"):
        redis_publish.run(TINY, short_tmp / "again")


def test_without_a_server_it_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    report = redis_publish.run(TINY, tmp_path)
    assert report.figures == []
    assert report.notes == ["Skipped: redis-server is not installed (`make redis` installs it)."]
