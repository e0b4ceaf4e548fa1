"""Exporters and servers that are killed, and readers that poll while versions are switched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.stores.conftest import source
from tfrec.stores.redis.redis_store import RedisVectorStore
from tfrec.stores.vector_source import ArraySource

pytestmark = [pytest.mark.redis, pytest.mark.one_stack]

COUNT, DIM = 70_000, 4  # five chunks
ROOT = Path(__file__).resolve().parents[2]

# Publishes, and ends itself by SIGKILL as soon as a stage has come so far: `write 40000`, `switch 0`, ...
EXPORTER = """
import os, signal, sys
from tests.stores.test_redis_crashes import content
from tfrec.stores.redis.redis_store import RedisVectorStore
url, seed, stage, at = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def killed(now, kind, done, total):
    if now == stage and done >= at:
        os.kill(os.getpid(), signal.SIGKILL)
RedisVectorStore(url).publish([content(seed)], killed)
"""


def content(seed: int) -> ArraySource:
    return source(np.arange(COUNT) * 3, dim=DIM, seed=seed)


def killed_exporter(url: str, seed: int, stage: str, at: int) -> None:
    command = [sys.executable, "-c", EXPORTER, url, str(seed), stage, str(at)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]


def assert_live(store: RedisVectorStore, seed: int) -> str:
    expected = content(seed)
    batch = store.reader("items").get_many(expected.ids(0, COUNT).to_pylist())
    assert batch.found.all()
    np.testing.assert_array_equal(batch.vectors, expected.vectors(0, COUNT))
    return batch.version


@pytest.mark.parametrize(
    ("stage", "at", "resumed"),
    [
        ("write", 40_000, (16_384, 3 * 16_384)),  # after three of five chunks; the replies to the last may be unread
        ("verify", 20_000, (COUNT, COUNT)),
        ("switch", 0, (COUNT, COUNT)),  # all is verified, nothing is live
    ],
)
def test_a_killed_exporter_leaves_the_old_version_live_and_is_resumed(make_store, server, stage, at, resumed):
    store = make_store()
    old = store.publish([content(1)])[0].header.version
    killed_exporter(server.url, 2, stage, at)
    assert assert_live(store, 1) == old
    with server.client() as client:
        (unfinished,) = {name.decode() for name in client.zrange("tfrec:meta:items:versions", 0, -1)} - {old}
    published = store.publish([content(2)])[0]  # the lease of the dead process is no obstacle
    assert (published.header.version, published.previous) == (unfinished, old)
    assert resumed[0] <= published.resumed <= resumed[1]
    assert published.written == COUNT - published.resumed
    assert assert_live(store, 2) == unfinished
    store.rollback(["items"])
    assert assert_live(store, 1) == old


def test_other_content_does_not_continue_what_was_killed(make_store, server):
    store = make_store()
    killed_exporter(server.url, 2, "verify", 0)
    published = store.publish([content(3)])[0]
    assert (published.resumed, published.written) == (0, COUNT)
    assert len(published.pruned) == 1  # what was killed is cleared away
    assert_live(store, 3)
    with server.client() as client:
        assert client.dbsize() == COUNT + 5 + 4 + 1  # the number of the last switch


def test_changed_chunks_of_the_same_origin_are_written_again(make_store, server):
    killed_exporter(server.url, 2, "verify", 0)
    vectors = content(2).vectors(0, COUNT).copy()
    vectors[20_000] += 1  # in the second chunk
    changed = source(np.arange(COUNT) * 3, vectors, seed=2)
    published = make_store().publish([changed])[0]
    assert (published.resumed, published.written) == (COUNT - 16_384, 16_384)
    np.testing.assert_array_equal(make_store().reader("items").get(60_000), vectors[20_000])


def test_without_resume_a_publication_starts_anew(make_store, server):
    killed_exporter(server.url, 2, "verify", 0)
    published = make_store(resume=False).publish([content(2)])[0]
    assert (published.resumed, published.written) == (0, COUNT)


def test_after_the_switch_the_new_version_is_live(make_store, server):
    store = make_store(keep=1)
    store.publish([content(1)])
    killed_exporter(server.url, 2, "prune", 0)
    new = assert_live(store, 2)
    assert len(store.prune("items", 1)) == 1
    assert assert_live(store, 2) == new


@pytest.mark.parametrize("persistence", [(), ("--appendonly", "yes", "--appendfsync", "no")], ids=["memory", "file"])
@pytest.mark.parametrize(("stage", "at"), [("write", 60_000), ("verify", 30_000), ("switch", 0)])
def test_a_server_restarted_in_the_middle_loses_nothing(start_redis, make_store, persistence, stage, at):
    server = start_redis(*persistence)
    store = make_store(url=server.url)
    store.publish([source([1, 2], kind="users")])
    restarts = []

    def restart(now: str, kind: str, done: int, total: int) -> None:
        if now == stage and done >= at and not restarts:
            restarts.append(now)
            server.kill()
            server.start()

    published = store.publish([content(2)], restart)[0]
    assert restarts
    if persistence:  # what was acknowledged is there; the record of the chunk under way may be lost
        assert COUNT <= published.written <= COUNT + 16_384
    else:
        assert published.written > COUNT
    if stage != "switch":  # there the pool connects anew, unnoticed: the server itself finds that records are missing
        assert published.reconnections >= 1
    assert_live(store, 2)
    assert ("users" in store.live_versions()) == bool(persistence)


def test_keys_lost_before_the_switch_are_written_again(make_store, server):
    """Something deletes vectors after they were written: counting finds it."""
    store = make_store()
    lost = []

    def lose(now: str, kind: str, done: int, total: int) -> None:
        if now == "verify" and not lost:
            with server.client() as client:
                lost.extend(client.scan_iter(match="tfrec:items:*:150000", count=10_000))
                client.delete(*lost)

    published = store.publish([content(2)], lose)[0]
    assert len(lost) == 1
    assert published.written == COUNT + 16_384  # the chunk of the lost key once more
    assert_live(store, 2)


# Reads batches until told to stop; every component of a vector is the number of its version.
POLLER = """
import json, sys
from tfrec.stores.redis.embedding_reader import EmbeddingReader
reader = EmbeddingReader(sys.argv[1], "items", batch_size=64)
ids = list(range(500))
seen, calls, order = set(), 0, []
print("ready", flush=True)
while True:
    batch = reader.get_many(ids)
    assert batch.found.all(), "missing vectors"
    numbers = set(batch.vectors.ravel().tolist())
    assert len(numbers) == 1, f"mixed versions {numbers}"
    number = numbers.pop()
    calls += 1
    if not order or order[-1] != number:
        order.append(number)
    if number == float(sys.argv[2]):
        break
print(json.dumps({"calls": calls, "order": order}))
"""


def test_four_readers_never_see_mixed_versions(make_store, server):
    store = make_store(keep=1)  # the hardest case: versions are pruned at once
    last = 12

    def version(number: int) -> ArraySource:
        return source(np.arange(500), np.full((500, 3), number), seed=number)

    store.publish([version(0)])
    command = [sys.executable, "-c", POLLER, server.url, str(last)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n", reader.stderr.read() if reader.stderr else ""
        for number in range(1, last + 1):
            store.publish([version(number)])
            time.sleep(0.05)
        for reader in readers:
            out, err = reader.communicate(timeout=300)
            assert reader.returncode == 0, err[-2000:]
            document = json.loads(out)
            assert document["order"] == sorted(document["order"])  # never back to an older version
            assert len(document["order"]) >= 2
            assert document["order"][-1] == last
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
