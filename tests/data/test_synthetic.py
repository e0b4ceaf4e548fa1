from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.data.synthetic import Clickstream, generate_clickstream, write_clickstream


@pytest.fixture(scope="module")
def world() -> Clickstream:
    return Clickstream(
        ClickstreamConfig(num_sessions=20_000, num_items=300, num_categories=12, num_interests=3, seed=5)
    )


@pytest.fixture(scope="module")
def log(world: Clickstream) -> dict[str, np.ndarray]:
    table = world.generate()
    return {name: table[name].to_numpy() for name in table.column_names}


def test_same_seed_same_table_other_seed_another() -> None:
    first = generate_clickstream(num_sessions=50, num_items=40, num_categories=8, seed=1)
    assert first.equals(generate_clickstream(num_sessions=50, num_items=40, num_categories=8, seed=1))
    other = generate_clickstream(num_sessions=50, num_items=40, num_categories=8, seed=2)
    assert first["item_id"].to_pylist() != other["item_id"].to_pylist()[: first.num_rows]


def test_more_sessions_leave_the_world_as_it_is() -> None:
    small, large = (Clickstream(ClickstreamConfig(num_sessions=number, num_items=50)) for number in (10, 1_000))
    np.testing.assert_array_equal(small.successors, large.successors)
    np.testing.assert_array_equal(small.item_ids, large.item_ids)


def test_columns_and_order(world: Clickstream, log: dict[str, np.ndarray]) -> None:
    assert list(log) == ["session_id", "item_id", "timestamp", "category"]
    assert np.all(np.diff(log["timestamp"]) >= 0)
    assert set(log["session_id"]) == set(range(1, 20_001))
    first_time = {}
    for session, time in zip(log["session_id"].tolist(), log["timestamp"].tolist(), strict=True):
        first_time.setdefault(session, time)
    starts = np.array([first_time[session] for session in range(1, 20_001)])
    assert np.all(np.diff(starts) >= 0)
    config = world.config
    assert config.start_time <= starts.min() <= starts.max() < config.start_time + config.num_days * 86_400
    assert log["item_id"].min() >= 1
    assert log["item_id"].max() <= 300
    # One category per item.
    pairs = np.unique(np.stack([log["item_id"], log["category"]]), axis=1)
    assert pairs.shape[1] == np.unique(log["item_id"]).size


def test_lengths(log: dict[str, np.ndarray]) -> None:
    lengths = np.bincount(log["session_id"])[1:]
    assert lengths.min() == 2
    assert lengths.max() <= 50
    # 2 + geometric with mean 4: variance (1 - p) / p^2 with p = 1/5 is 20, standard error sqrt(20 / 20,000) = .032.
    assert lengths.mean() == pytest.approx(6.0, abs=0.13)


def test_first_items_follow_their_distribution(world: Clickstream, log: dict[str, np.ndarray]) -> None:
    _, first_row = np.unique(log["session_id"], return_index=True)
    number = np.empty(301, np.int64)
    number[world.item_ids] = np.arange(300)
    observed = np.bincount(number[log["item_id"][first_row]], minlength=300) / 20_000
    p_interest = world.mixture(0)[2]
    assert p_interest == pytest.approx(0.25 / 0.35)
    expected = p_interest * world.preference.mean(axis=0) + (1 - p_interest) * world.popularity
    error = np.sqrt(expected * (1 - expected) / 20_000)
    assert np.abs((observed - expected) / error).max() < 4.5


def test_probabilities_are_normalised_and_interests_partition_the_categories(world: Clickstream) -> None:
    np.testing.assert_allclose(world.popularity.sum(), 1)
    np.testing.assert_allclose(world.preference.sum(axis=1), 1)
    np.testing.assert_allclose(world.successor_weights.sum(axis=2), 1)
    assert np.all((world.preference > 0).sum(axis=0) == 1)
    # Zipf with exponent 1: the popularity of rank r is that of rank 1 over r.
    ordered = np.sort(world.popularity)[::-1]
    np.testing.assert_allclose(ordered, ordered[0] / np.arange(1, 301), rtol=1e-12)
    for position in (0, 1, 2):
        assert 0 < sum(world.mixture(position)) < 1


def test_most_items_are_successors_of_the_last_when_the_rule_says_so() -> None:
    config = ClickstreamConfig(
        num_sessions=5_000, num_items=2_000, follow_last=0.8, follow_previous=0.0, follow_interest=0.1, mean_length=4.0
    )
    world = Clickstream(config)
    table = world.generate()
    session, item_id, time = (table[name].to_numpy() for name in ("session_id", "item_id", "timestamp"))
    order = np.lexsort((time, session))
    number = np.empty(2_001, np.int64)
    number[world.item_ids] = np.arange(2_000)
    item, within = number[item_id[order]], np.diff(session[order]) == 0
    assert within.sum() == pytest.approx(5_000 * 3, rel=0.05)
    successor = (world.successors[item[:-1]] == item[1:, np.newaxis]).any(axis=1)[within]
    # 0.8 by the rule; the other 0.2 hit one of 10 successors among 2,000 items only now and then.
    assert 0.79 < successor.mean() < 0.83


def test_writes_parquet(tmp_path: Path) -> None:
    config = ClickstreamConfig(num_sessions=20, num_items=40, num_categories=4, num_interests=2)
    world = write_clickstream(tmp_path / "log.parquet", config)
    assert pq.read_table(tmp_path / "log.parquet").equals(world.generate())


@pytest.mark.parametrize(
    "values",
    [{"follow_last": 0.9}, {"num_items": 30, "num_categories": 31}, {"num_categories": 3}, {"mean_length": 1.0}],
)
def test_rejects_inconsistent_settings(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ClickstreamConfig.model_validate(values)
