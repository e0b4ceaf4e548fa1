"""`--where`: which rows are read, what is not checked in the others, and what cannot be a condition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.row_conditions import parse_condition
from tfrec.errors import ConfigError, DataError

NAN = float("nan")
LOG: dict[str, Any] = {
    "user_id": [1, 1, 1, 1, 2, 2, 2],
    "item_id": [10, 11, 12, 13, 10, 11, 14],
    "timestamp": [1, 2, 3, 4, 5, 6, 7],
    "rating": [4.0, 3.0, 5.0, NAN, 4.0, 4.5, None],
    "stars": [4, 3, 5, 1, 4, 2**62, 4],
    "event": ["view", "buy", "view", "view", "view", "view", ""],
}


@pytest.fixture
def items(tmp_path):
    """Converts all rows that satisfy conditions to training data and returns their items in order of time."""

    def run(*where: str, source: Any = None, **options: Any) -> list[int]:
        files = () if source is None else (str(source),)
        output = str(tmp_path / "DS")
        settings = {"split": "random_user", "test_fraction": 0, "valid_fraction": 0, "user_col": "user_id"}
        settings |= {"time_unit": "s", "output": output, "overwrite": True, "input": files, "where": where, **options}
        convert(ConversionOptions(**settings), table=pa.table(LOG) if source is None else None)
        dataset = InteractionDataset.open(output)
        return dataset.item_vocabulary.raw(dataset.load_ragged("train").items)

    return run


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["rating>=4"], [10, 12, 10, 11]),
        (["rating > 4", "user_id=1"], None),  # one event is no sequence
        (["rating<=4"], [10, 11]),  # of user 2 only one is left
        (["rating != 4", "stars>=3"], [11, 12]),
        (["stars=4"], [10, 14]),
        (["stars = 4.0"], [10, 14]),
        (["stars<=4611686018427387903"], [10, 11, 12, 13, 10, 14]),  # 2**62 - 1: not compared as a float
        (["event=view"], [10, 12, 13, 10, 11]),
        (["event!=view", "user_id=1"], None),
        (["event!=buy"], [10, 12, 13, 10, 11]),  # a missing value satisfies nothing
    ],
)
def test_selected_rows(items, where, expected):
    if expected is None:
        with pytest.raises(DataError, match="No sequence is left"):
            items(*where)
    else:
        assert items(*where) == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [(["rating>=4"], [10, 12]), (["rating=4", "user_id<3"], [10, 12]), (["rating!=4", "user_id=1"], [11, 13])],
)
def test_numbers_in_text_are_compared_as_numbers(items, tmp_path, where, expected):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp,rating\n1,10,1,4\n1,11,2,3.5\n1,12,3,4.0\n1,13,4,-1e2\n1,14,5,\n")
    assert items(*where, source=path) == expected


def test_rows_left_out_are_counted_and_not_checked(items, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp,event\n1,10,1,view\n1,,x,ping\n1,12,3,view\nabc,,,ping\n")
    assert items("event=view", source=path, min_seq_len=2) == [10, 12]
    manifest = InteractionDataset.open(tmp_path / "DS").manifest
    assert manifest.counts.events_read == 4
    assert manifest.counts.dropped_events["where"] == 2
    assert manifest.counts.events == 2
    assert manifest.filters.where == ["event=view"]


def test_rows_are_still_named_by_their_place_in_the_file(items, tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("user_id,item_id,timestamp,event\n1,10,1,view\n1,10,1,ping\n")
    second.write_text("user_id,item_id,timestamp,event\n1,10,1,ping\n1,12,3,ping\n1,13,x,view\n")
    with pytest.raises(DataError, match=r"b\.csv`, column `timestamp`, row 3: The time `x`"):
        items("event=view", source=tmp_path / "*.csv")
    second.write_text("user_id,item_id,timestamp,event\n1,10,1,ping\n1,,3,view\n1,13,3,view\n")
    with pytest.raises(DataError, match=r"b\.csv`, column `item_id`, row 2: The id is null"):
        items("event=view", source=tmp_path / "*.csv")


def test_ids_of_text_and_given_splits(tmp_path):
    for name, item in (("train", ["a", "b", "c", "a"]), ("test", ["b", "c", "c", "a"])):
        user = ["u", "u", "u", "u"]
        pq.write_table(
            pa.table({"session_id": user, "item_id": item, "timestamp": [1, 2, 3, 4], "ok": [1, 0, 1, 1]}),
            tmp_path / f"{name}.parquet",
        )
    options = ConversionOptions(
        output=str(tmp_path / "DS"),
        train=(str(tmp_path / "train.parquet"),),
        test=(str(tmp_path / "test.parquet"),),
        where=("ok=1",),
    )
    convert(options)
    dataset = InteractionDataset.open(tmp_path / "DS")
    raw = {split: dataset.item_vocabulary.raw(dataset.load_ragged(split).items) for split in dataset.splits}
    assert raw == {"train": ["a", "c", "a"], "test": ["c", "a"]}  # b has no training event


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        ("ratng>=4", DataError, r"`ratng` of `--where ratng>=4` does not exist.*Did you mean `rating`"),
        ("rating>=4; DROP TABLE x", ConfigError, "not a number"),
        ("rating", ConfigError, "not a condition"),
        ("rating>=", ConfigError, "not a condition"),
        ("=4", ConfigError, "not a condition"),
        ("event>=view", ConfigError, "`view`, which is not a number"),
        ("event>=4", DataError, r"column `event`, row 1: `view` is not a number"),
        ("rating=good", DataError, "the column is DOUBLE and `good` is not a number"),
        ("rating>99", DataError, r"None of 7 rows satisfies `rating>99`"),
        ("event='; SELECT 1 --", DataError, "None of 7 rows"),
    ],
)
def test_refused(items, where, error, words):
    with pytest.raises(error, match=words):
        items(where)


def test_a_column_of_another_kind(items, tmp_path):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({**LOG, "tags": [["a"]] * 7}), path)
    with pytest.raises(DataError, match=r"the column is VARCHAR\[\], which is neither"):
        items("tags=a", source=path)


@pytest.mark.parametrize(
    ("text", "column", "operator", "value"),
    [
        ("rating>=4", "rating", ">=", "4"),
        (" a b  <  -1.5e3 ", "a b", "<", "-1.5e3"),
        ("x!=y=z", "x", "!=", "y=z"),
        ("x<=.5", "x", "<=", ".5"),
    ],
)
def test_parts(text, column, operator, value):
    condition = parse_condition(text)
    assert (condition.column, condition.operator, condition.value) == (column, operator, value)


@pytest.mark.parametrize(("where", "users", "events"), [([], 943, 100_000), (["rating>=4"], 938, 55_361)])
def test_movielens_protocols(real_data, tmp_path, where, users, events):
    """Users with five events: 943 by all ratings, 938 by ratings of at least 4, as published for this data set."""
    folder = real_data / "ml-100k"
    options = ConversionOptions(
        output=str(tmp_path / "DS"),
        input=(str(folder / "ml-100k.inter"),),
        user_col="user_id",
        split="leave_one_out",
        unknown_items="keep",
        min_seq_len=5,
        where=tuple(where),
        dry_run=True,
    )
    counts = convert(options).counts
    assert counts.users == users
    ratings = np.loadtxt(folder / "ml-100k.inter", skiprows=1)
    kept = ratings[ratings[:, 2] >= 4] if where else ratings
    _, sizes = np.unique(kept[:, 0], return_counts=True)
    assert counts.events == sizes[sizes >= 5].sum()
    assert counts.events == events
