"""User files: features by user index, users without events, refusals. Expected indices are counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.schema import DatasetSchema
from tfrec.errors import ConfigError, DataError

# Training events (all but the last two of each): b has two, c and a one each; of equal counts the larger text first.
EVENTS = [("a", 3), ("b", 4), ("c", 3)]
USERS: dict[str, list[Any]] = {
    "user_id": ["new", "a", "b", "stray"],
    "city": ["x", "y", "x", "z"],
    "tags": [["p"], ["q", "p"], None, ["r"]],
    "age": [20.0, 30.0, 50.0, None],
}


def log() -> pa.Table:
    rows = [(user, 100 + n, n) for user, count in EVENTS for n in range(count)]
    user, item, time = zip(*rows, strict=True)
    return pa.table({"user_id": user, "item_id": item, "timestamp": time})


def converted(folder: Path, users: dict[str, list[Any]] = USERS, **options: Any) -> InteractionDataset:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(users), folder / "users.parquet")
    settings: dict[str, Any] = {"user_col": "user_id", "split": "leave_one_out", "time_unit": "s"}
    settings |= {"unknown_items": "keep", "users": (str(folder / "users.parquet"),)}
    convert(ConversionOptions(output=str(folder / "DS"), **{**settings, **options}), table=log())
    return InteractionDataset.open(folder / "DS")


def test_features_by_user_index(tmp_path: Path) -> None:
    # Sequences of less than two training events are no training examples: only b is a training user.
    dataset = converted(tmp_path, cold_users="keep")
    assert dataset.vocabulary("user").ids.tolist() == ["b", "stray", "new", "a"]
    assert dataset.vocabulary("user").counts.tolist() == [0, 0, 2, 0, 0, 0]
    features = dataset.user_features()
    assert features.known.tolist() == [False, False, True, True, True, True]
    assert dataset.vocabulary("city").ids.tolist() == ["x"]
    assert features.categories["city"].tolist() == [0, 0, 2, 1, 2, 1]  # of values of training users
    assert [features.lists["tags"].row(n).tolist() for n in range(2, 6)] == [[], [1], [1], [1]]
    assert features.numbers["age"].tolist()[2:] == pytest.approx([50.0, float("nan"), 20.0, 30.0], nan_ok=True)
    assert not dataset.has_item_features
    # Sequences of users without training events have the index that they were given; c has none.
    test = dataset.load_ragged("test")
    assert dict(zip(test.user_ids.tolist(), test.users.tolist(), strict=True)) == {"a": 5, "b": 2, "c": 1}
    assert DatasetSchema.from_text(dataset.schema.to_text()) == dataset.schema
    dataset.verify()
    (Path(dataset.path) / "users.tfrecord").write_bytes(b"")
    with pytest.raises(DataError, match=r"users\.tfrecord"):
        InteractionDataset.open(dataset.path)


def test_other_users_are_left_out_and_the_schema_tells(tmp_path: Path) -> None:
    dataset = converted(tmp_path, user_features=("age", "city"))
    assert dataset.vocabulary("user").ids.tolist() == ["b"]
    assert dataset.user_features().as_tensors().keys() == {"age", "city"}
    names = [feature.name for feature in dataset.schema.user_features]
    assert names == ["user_index", "user_known", "age", "city"]
    assert "`user.tags`: not expected" in " ".join(
        dataset.schema.diff(converted(tmp_path / "again", user_features=("age", "city", "tags")).schema)
    )


@pytest.mark.parametrize(
    ("users", "options", "error", "words"),
    [
        ({**USERS, "user_id": ["a", "b", "c", "a"]}, {}, DataError, r"row 4: The user `a` has another row already"),
        (USERS, {"users_id_col": "who"}, DataError, r"`who` \(--users-id-col\) does not exist in the user file"),
        (USERS, {"user_features": ("nothing",)}, DataError, r"`nothing` \(--user-features\)"),
        (USERS, {"event_features": ("city",)}, ConfigError, "`city` cannot be an event feature"),
        (USERS, {"runner": "DirectRunner"}, ConfigError, "`--users` does not work with `--runner`"),
    ],
)
def test_refused(
    tmp_path: Path, users: dict[str, list[Any]], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    if "runner" in options:
        options |= {"input": (str(tmp_path / "users.parquet"),)}
        pq.write_table(pa.table(users), tmp_path / "users.parquet")
        with pytest.raises(error, match=words):
            convert(
                ConversionOptions(
                    output=str(tmp_path / "DS"), user_col="user_id", users=(str(tmp_path / "users.parquet"),), **options
                )
            )
        return
    with pytest.raises(error, match=words):
        converted(tmp_path, users, **options)


def test_one_name_for_two_features_and_users_without_users(tmp_path: Path) -> None:
    items = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": list(range(100, 104)), "city": ["x"] * 4}), items)
    with pytest.raises(ConfigError, match="`city` is a feature of items and of users"):
        converted(tmp_path, items=(str(items),))
    with pytest.raises(ConfigError, match=r"`--cold-users` has no effect without `--users`"):
        ConversionOptions(output="DS", cold_users="keep")
    with pytest.raises(ConfigError, match="needs a log with users"):
        converted(tmp_path, user_col=None, session_col="user_id", split="session_time")
