"""Items held out of training, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec import datasets
from tfrec.command import run_command
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.held_out_items import hold_out_items
from tfrec.errors import ConfigError


def write(path: Path, users: list[list[int]]) -> None:
    """Events of users, all at the same time, so that the order of the rows decides which is the last."""
    rows = [(user, item, 7) for user, items in enumerate(users) for item in items]
    user, item, time = zip(*rows, strict=True)
    pq.write_table(pa.table({"user_id": user, "item_id": item, "timestamp": time, "rating": item}), path)


def test_held_out_items_are_targets_of_test_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    users = [[(user + step) % 10 for step in range(6)] for user in range(10)]
    write(path, users)
    found = hold_out_items(path, 0.2, seed=3)
    kept = pq.read_table(path)
    assert kept.column_names == ["user_id", "item_id", "timestamp", "rating"]
    by_user = [[row["item_id"] for row in kept.to_pylist() if row["user_id"] == user] for user in range(10)]
    held = {item for item in range(10) if sum(items[:-1].count(item) for items in by_user) == 0}
    assert len(held) == found.items == 2
    wanted = [[item for item in items[:-1] if item not in held] + items[-1:] for items in users]
    assert by_user == wanted  # everything else is there, in its order
    assert found.dropped == 60 - sum(map(len, wanted)) == 10  # each item is five times not the last
    assert found.targets == 2
    options = ConversionOptions(
        output=str(tmp_path / "DS"), user_col="user_id", split="leave_one_out", unknown_items="keep"
    )
    convert(options, table=kept)
    dataset = InteractionDataset.open(tmp_path / "DS")
    vocabulary = dataset.item_vocabulary
    assert {item for item in range(10) if vocabulary.counts[vocabulary.lookup([item])[0]] == 0} == held
    assert hold_out_items(path, 0.2, seed=3).dropped == 0  # the same items again


def test_a_share_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        hold_out_items(tmp_path / "x.parquet", 1.0)


def test_nothing_is_read_for_a_share_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "events.parquet"  # the directory is empty: reading it would be another error
    arguments = ["get", "ml-100k", "--from", str(tmp_path), "--output", str(output), "--hold-out-items", "1.5"]
    assert run_command(datasets.main, arguments) == 2
    assert "received 1.5" in capsys.readouterr().err
    assert not output.exists()
