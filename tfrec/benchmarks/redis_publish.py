"""Publishing vectors to Redis beside loops of redis-py over the same files."""

from __future__ import annotations

import importlib
import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tfrec.benchmarks.private_redis import PrivateRedis, redis_server_missing
from tfrec.benchmarks.repetition import take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.compat import load_tensorflow
from tfrec.errors import TfrecError
from tfrec.stores.redis.redis_store import RedisVectorStore
from tfrec.stores.vector_description import VectorDescription
from tfrec.stores.vector_directory import VectorDirectory, VectorDirectoryWriter

_PIPELINE = 1000
_READ_ROWS = 16_000
_SET, _MSET, _TFREC = "redis-py, pipelines of 1,000 SET", "redis-py, MSET of 1,000", "tfrec"


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        vectors: Number of vectors.
        dim: Components of each.
        repetitions: Rounds.
    """

    vectors: int = 1_000_000
    dim: int = 128
    repetitions: int = 2


FULL = Settings()
QUICK = Settings(vectors=100_000)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Publishes the same files in three ways, each time to a new server and from a new process."""
    report = BenchmarkReport("redis_publish", "Vectors into Redis", settings.repetitions, asdict(settings))
    missing = redis_server_missing()
    if missing:
        report.notes.append(f"Skipped: {missing}.")
        return report
    directory = scratch / "vectors"
    _write_vectors(directory, settings)
    memory: list[float] = []
    checked = False

    def case(name: str, function: str) -> Callable[[], float]:
        def measure() -> float:
            nonlocal checked
            with PrivateRedis(scratch / "redis") as server:
                seconds, megabytes = _in_own_process(function, server.url, str(directory))
                if name == _TFREC:
                    memory.append(megabytes)
                if name == _TFREC and not checked:
                    checked = True
                    report.check(_reads_back(server.url, directory), "every vector reads back as it was, by its id")
            return settings.vectors / seconds

        return measure

    cases = {_SET: case(_SET, "set_loop"), _MSET: case(_MSET, "mset_loop"), _TFREC: case(_TFREC, "publish")}
    rates = take_turns(cases, settings.repetitions, warm_up=False)
    group = f"{settings.vectors:,} x {settings.dim} float32"
    for name in cases:
        report.add(group, name, "vectors/s", rates[name], relative_to="" if name == _SET else _SET)
    report.add(group, _TFREC, "MB, peak of the process", memory)
    report.check(max(memory) < 1000, f"tfrec needs less than 1 GB ({max(memory):,.0f} MB)")
    report.notes.append(
        "All read ids and vectors from the same files and connect over TCP. tfrec's time includes counting all keys on "
        "the server, comparing samples, and the switch; its memory includes TensorFlow, which commands have loaded."
    )
    return report


def set_loop(url: str, directory: str) -> float:
    """Writes with one SET per vector; returns the seconds."""
    import redis

    client, source = redis.Redis.from_url(url), VectorDirectory(directory)
    started = time.perf_counter()
    for start in range(0, source.description.count, _READ_ROWS):
        ids, vectors = _read(source, start)
        for first in range(0, len(ids), _PIPELINE):
            pipeline = client.pipeline(transaction=False)
            for row in range(first, min(first + _PIPELINE, len(ids))):
                pipeline.set(f"tfrec:items:1:{ids[row]}", vectors[row].tobytes())
            pipeline.execute()
    return time.perf_counter() - started


def mset_loop(url: str, directory: str) -> float:
    """Writes with MSET; returns the seconds."""
    import redis

    client, source = redis.Redis.from_url(url), VectorDirectory(directory)
    started = time.perf_counter()
    for start in range(0, source.description.count, _READ_ROWS):
        ids, vectors = _read(source, start)
        for first in range(0, len(ids), _PIPELINE):
            rows = range(first, min(first + _PIPELINE, len(ids)))
            client.mset({f"tfrec:items:1:{ids[row]}": vectors[row].tobytes() for row in rows})
    return time.perf_counter() - started


def publish(url: str, directory: str) -> float:
    """Writes, verifies and switches as `tfrec.publish` does; returns the seconds."""
    store = RedisVectorStore(url)
    started = time.perf_counter()
    store.publish([VectorDirectory(directory)])
    return time.perf_counter() - started


def _read(source: VectorDirectory, start: int) -> tuple[list[Any], Any]:
    stop = min(start + _READ_ROWS, source.description.count)
    return source.ids(start, stop).to_pylist(), source.vectors(start, stop)


def _write_vectors(directory: Path, settings: Settings) -> None:
    generator = np.random.default_rng(0)
    ids = generator.permutation(10 * settings.vectors)[: settings.vectors]
    about = VectorDescription(kind="items", count=settings.vectors, dim=settings.dim, id_type="int64", origin="bench")
    with VectorDirectoryWriter(directory, about) as writer:
        for start in range(0, settings.vectors, _READ_ROWS):
            part = ids[start : start + _READ_ROWS]
            writer.write(pa.array(part), generator.standard_normal((len(part), settings.dim), np.float32))


def _reads_back(url: str, directory: Path) -> bool:
    source = VectorDirectory(directory)
    reader = RedisVectorStore(url).reader("items")
    for start in range(0, source.description.count, _READ_ROWS):
        ids, vectors = _read(source, start)
        batch = reader.get_many(ids)
        if not batch.found.all() or not np.array_equal(batch.vectors, vectors):
            return False
    return True


def _in_own_process(function: str, url: str, directory: str) -> tuple[float, float]:
    """Returns the seconds a function took and the peak memory of its process in MB."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, url, directory), daemon=True)
    process.start()
    theirs.close()
    try:
        seconds, megabytes = ours.recv()
    except EOFError as error:
        raise TfrecError("The process of a timed case ended early; its error stands above.") from error
    finally:
        process.join()
    return float(seconds), float(megabytes)


def _serve(connection: Connection, function: str, url: str, directory: str) -> None:
    if function == publish.__name__:
        load_tensorflow()  # as the command does
    seconds = getattr(importlib.import_module("tfrec.benchmarks.redis_publish"), function)(url, directory)
    connection.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000))
