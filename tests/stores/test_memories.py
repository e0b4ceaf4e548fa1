"""Memories of users in Redis and in files, by raw user id; the branch that has vectors is published like any model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.harness.planted_shop import planted_shop, user_id
from tests.harness.tiny_run import tiny_run
from tfrec import publish
from tfrec.benchmarks.private_redis import PrivateRedis
from tfrec.command import run_command
from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.layers.given_tables import learned_weights
from tfrec.stores.redis.embedding_reader import EmbeddingReader
from tfrec.stores.vector_directory import VectorDirectory
from tfrec.training.checkpoints import save_checkpoint
from tfrec.training.run_directory import RunDirectory


@pytest.fixture
def remembering(tmp_path: Path) -> tuple[Path, InteractionDataset, Any]:
    """A run of a model that remembers every third user."""
    shop = planted_shop(tmp_path / "shop", "string")
    model: Any = tiny_run(tmp_path / "run", "ur4rec", shop)
    table = np.random.default_rng(3).normal(size=model.memory.vectors.shape).astype(np.float32)
    table[:FIRST_INDEX] = 0.0
    table[np.arange(len(table)) % 3 > 0] = 0.0
    model.memory.vectors.assign(table)
    save_checkpoint(RunDirectory(tmp_path / "run").checkpoints, "trained", weights=learned_weights(model))
    return tmp_path / "run", shop, table


@pytest.mark.redis
def test_memories_are_published_beside_users_and_items(
    remembering: tuple[Path, InteractionDataset, Any], start_redis: Callable[..., PrivateRedis], tmp_path: Path
) -> None:
    run, shop, table = remembering
    users = shop.vocabulary("user")
    url = start_redis().url
    for what in ("memories", "both"):
        assert run_command(publish.main, ["--run", str(run), "--redis", url, "--what", what], prog="publish") == 0
    reader = EmbeddingReader(url, "memories")
    assert reader.header.count == int(table.any(axis=1).sum())
    for number in range(30):
        raw = user_id(number, "string")
        row = table[users.lookup([raw])[0]]
        found = reader.get(raw)
        if row.any():
            np.testing.assert_array_equal(found, row)
        else:
            assert found is None
    assert EmbeddingReader(url, "users").header.count == 30
    assert run_command(publish.main, ["--run", str(run), "--to", str(tmp_path / "v"), "--what", "memories"]) == 0
    directory = VectorDirectory(tmp_path / "v" / "memories")
    raw = pq.read_table(tmp_path / "v" / "memories" / "ids.parquet")["id"].to_pylist()
    np.testing.assert_array_equal(directory.vectors(0, len(raw)), table[users.lookup(raw)])


def test_a_model_without_memories_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = planted_shop(tmp_path / "shop", "int64")
    tiny_run(tmp_path / "run", "popularity", shop)
    assert run_command(publish.main, ["--run", str(tmp_path / "run"), "--to", "x", "--what", "memories"]) != 0
    assert "has no vectors" in capsys.readouterr().err
