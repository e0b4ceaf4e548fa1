"""Fixtures of the data tests: tiny logs in, examples with raw ids out."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.http_hosts import Ranges
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset

DAY = 86_400
Example = tuple[Any, list[Any], int]
Server = Callable[..., str]


@pytest.fixture
def convert_rows(tmp_path: Path) -> Callable[..., InteractionDataset]:
    """Converts rows of (session, item, seconds); everything is training data unless `split` says otherwise."""

    def run(rows: list[tuple[Any, Any, Any]], **options: Any) -> InteractionDataset:
        session, item, time = zip(*rows, strict=True)
        table = pa.table({"session_id": list(session), "item_id": list(item), "timestamp": list(time)})
        options.setdefault("output", str(tmp_path / "DS"))
        if "split" not in options:
            options.update(split="random_user", test_fraction=0, valid_fraction=0)
        convert(ConversionOptions(**{"time_unit": "s", **options}), table=table)
        return InteractionDataset.open(options["output"])

    return run


@pytest.fixture
def examples() -> Callable[[InteractionDataset, str], list[Example]]:
    """Reads a split as (raw id, raw items, num_targets), in file order; empty when the split does not exist."""

    def read(dataset: InteractionDataset, split: str = "train") -> list[Example]:
        if split not in dataset.splits:
            return []
        arrays = dataset.load_ragged(split)
        items = dataset.item_vocabulary.raw(arrays.items)
        starts = arrays.offsets.tolist()
        return [
            (arrays.user_ids[n], items[starts[n] : starts[n + 1]], int(arrays.num_targets[n]))
            for n in range(len(arrays))
        ]

    return read


@pytest.fixture
def no_proxy(monkeypatch):
    """Lets clients reach 127.0.0.1 also where a proxy is set."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def forty_sessions(tmp_path) -> Path:
    """A Parquet log of 40 sessions of three events, in row groups of 50."""
    path = tmp_path / "log.parquet"
    rows = [(n, item, n * 20_000 + item) for n in range(40) for item in (5, 6, 7)]
    session, item, when = zip(*rows, strict=True)
    pq.write_table(pa.table({"session_id": session, "item_id": item, "timestamp": when}), path, row_group_size=50)
    return path


@pytest.fixture
def serve(no_proxy) -> Iterator[Server]:
    """Serves a directory on a free port of 127.0.0.1 and returns the URL."""
    servers = []

    def start(directory: Path, handler: type = Ranges) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(directory)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port(no_proxy) -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


@pytest.fixture
def silent_host(no_proxy) -> Iterator[str]:
    """A host that accepts connections and never answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(16)
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
