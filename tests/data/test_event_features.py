"""Categories of events: their indices, what becomes of missing and unknown values, and where they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError, DataError

# user, item, second, behaviour, place
ROWS: list[tuple[int, int, int, Any, Any]] = [
    (1, 5, 1, 4, "home"),
    (2, 5, 2, 1, None),
    (1, 6, 3, 1, "home"),
    (2, 7, 4, None, "work"),
    (1, 8, 5, 1, "work"),
    (2, 5, 6, 4, "home"),
    (1, 5, 7, 3, "sea"),  # the last event of a user is test
    (2, 6, 8, 1, "home"),
]


def converted(folder: Path, rows: list[tuple[Any, ...]] = ROWS, **options: Any) -> InteractionDataset:
    names = ("user_id", "item_id", "timestamp", "behaviour", "place")
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    settings: dict[str, Any] = {
        "user_col": "user_id",
        "time_unit": "s",
        "split": "leave_one_out",
        "unknown_items": "keep",
        **options,
    }
    convert(ConversionOptions(output=str(folder / "DS"), **settings), table=table)
    return InteractionDataset.open(folder / "DS")


def features_of(dataset: InteractionDataset, split: str, *names: str) -> dict[Any, list[Any]]:
    [batch] = list(sequence_dataset(dataset, split, 9).as_numpy_iterator())
    rows = zip(batch["user_id"].tolist(), *(batch[name].tolist() for name in names), strict=True)
    return {user: list(values) for user, *values in rows}


def test_indices_by_count_of_training_events(tmp_path: Path) -> None:
    """Training has the first two events of each user: 1 twice, 4 once; home twice."""
    dataset = converted(tmp_path, event_features=("behaviour", "place"))
    assert dataset.event_features == ["behaviour", "place"]
    assert dataset.vocabulary("behaviour").ids.tolist() == [1, 4]
    assert dataset.vocabulary("behaviour").counts.tolist() == [0, 0, 2, 1]
    assert dataset.vocabulary("place").ids.tolist() == ["work", "home"][::-1]
    assert features_of(dataset, "train", "behaviour", "place") == {1: [[3, 2], [2, 2]], 2: [[2, 0], [0, 3]]}
    # 3 and `sea` have no training event (index 1); a missing value has index 0.
    assert features_of(dataset, "test", "behaviour", "place") == {
        1: [[3, 2, 2, 1], [2, 2, 3, 1]],
        2: [[2, 0, 3, 2], [0, 3, 2, 2]],
    }


def test_they_follow_their_event_through_conditions_and_order(tmp_path: Path) -> None:
    """Rows out of order, rows left out: the value stays with its event.

    Training has the first two events of user 1 only: 4 and 1 once each, and 4 is the larger text.
    """
    dataset = converted(tmp_path, ROWS[::-1], event_features=("behaviour",), where=("item_id!=7",))
    assert features_of(dataset, "test", "behaviour")[1] == [[2, 3, 3, 1]]
    raw = dataset.item_vocabulary.raw(features_of(dataset, "test", "item")[2][0])
    assert raw == [5, 5, 6, None]  # padded
    assert features_of(dataset, "test", "behaviour")[2] == [[3, 2, 3, 0]]


def test_integers_in_text_files_are_integers(tmp_path: Path) -> None:
    lines = ["user_id,item_id,timestamp,behaviour,place", *(",".join(map(str, row)) for row in ROWS if row[3])]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    options: dict[str, Any] = {"user_col": "user_id", "time_unit": "s", "split": "leave_one_out"}
    log = str(tmp_path / "log.csv")
    convert(
        ConversionOptions(output=str(tmp_path / "DS"), input=(log,), event_features=("behaviour", "place"), **options)
    )
    dataset = InteractionDataset.open(tmp_path / "DS")
    assert dataset.vocabulary("behaviour").id_type == "int64"
    assert dataset.vocabulary("place").id_type == "string"


@pytest.mark.parametrize("name", ["item", "behaviour,behaviour", "no such"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be an event feature"):
        converted(tmp_path, event_features=tuple(name.split(",")))


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist") as caught:
        converted(tmp_path, event_features=("behavior",))
    assert "behaviour" in str(caught.value.remedy)


@pytest.mark.parametrize("value", [None, ""])
def test_a_feature_without_any_training_value(tmp_path: Path, value: Any) -> None:
    """Only the last event of user 1, which is test, has a place."""
    rows = [(*row[:4], "sea" if row[2] == 7 else value) for row in ROWS]
    with pytest.raises(DataError, match="column `place`: No training event has a value"):
        converted(tmp_path, rows, event_features=("behaviour", "place"))
