"""The data sets that are at hand, read whole and compared with counts made without tfrec."""

from __future__ import annotations

import csv

import pyarrow.parquet as pq
import pytest

from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.data.sources.prepare import prepare
from tfrec.data.sources.registry import public_dataset


def read(real_data, tmp_path, name):
    summary = prepare(public_dataset(name), real_data / name, tmp_path / "X.parquet")
    table = pq.read_table(tmp_path / "X.parquet")
    assert table.num_rows == summary.rows
    return table


def lines(path):
    return path.read_text().splitlines()


def test_yoochoose_100k_is_split_as_its_files_are(real_data, tmp_path, get, sequences):
    folder = real_data / "yoochoose-100k"

    def given(part: str) -> dict[int, list[int]]:
        sessions: dict[int, list[tuple[float, int]]] = {}
        for line in lines(folder / f"yoochoose-clicks-100k_{part}.txt")[1:]:
            session, item, time = line.split("\t")
            sessions.setdefault(int(session), []).append((float(time), int(item)))
        return {s: [item for _, item in sorted(events, key=lambda e: e[0])] for s, events in sessions.items()}

    get("yoochoose-100k", "--from", folder, "--dataset", tmp_path / "full")
    full = InteractionDataset.open(tmp_path / "full")
    assert dict(sequences(full, "train")) == given("train_full")
    assert dict(sequences(full, "test")) == given("test")
    get("yoochoose-100k", "--from", folder, "--dataset", tmp_path / "nested", "--validation")
    nested = InteractionDataset.open(tmp_path / "nested")
    assert dict(sequences(nested, "train")) == given("train_tr")
    assert dict(sequences(nested, "valid")) == given("train_valid")


def test_movielens_100k(real_data, tmp_path, get):
    table = read(real_data, tmp_path, "ml-100k")
    raw = [line.split("\t") for line in lines(real_data / "ml-100k" / "ml-100k.inter")[1:]]
    assert table["user_id"].to_pylist() == [int(row[0]) for row in raw]
    assert table["item_id"].to_pylist() == [int(row[1]) for row in raw]
    assert table["rating"].to_pylist() == [float(row[2]) for row in raw]
    assert table["timestamp"].to_pylist() == [1000 * int(row[3]) for row in raw]
    get("ml-100k", "--from", real_data / "ml-100k", "--dataset", tmp_path / "DS")
    # Every user has at least 20 ratings, so 943 of them have a last one.
    assert InteractionDataset.open(tmp_path / "DS").manifest.counts.users == 943


def test_beauty(real_data, tmp_path, get):
    table = read(real_data, tmp_path, "beauty").to_pydict()
    users: dict[int, list[int]] = {}
    for user, item, position in zip(table["user_id"], table["item_id"], table["timestamp"], strict=True):
        assert position == len(users.setdefault(user, []))
        users[user].append(item)
    wanted = {
        int(line.split()[0]): [int(word) for word in line.split()[1:]]
        for line in lines(real_data / "beauty/Beauty.txt")
    }
    assert users == wanted
    # As its description says.
    assert (len(users), len(set(table["item_id"])), len(table["item_id"])) == (22_363, 12_101, 198_502)
    get("beauty", "--from", real_data / "beauty", "--dataset", tmp_path / "DS")
    dataset = InteractionDataset.open(tmp_path / "DS")
    arrays = dataset.load_ragged("train")
    first = arrays.user_ids.tolist().index(1)
    items = dataset.item_vocabulary.raw(arrays.items[arrays.offsets[first] : arrays.offsets[first + 1]])
    assert items == wanted[1][:-2]


def test_toss(real_data, tmp_path):
    table = read(real_data, tmp_path, "toss")
    folder = real_data / "toss"
    raw = [row for name in ("sample_a.csv", "sample_b.csv") for row in csv.DictReader((folder / name).open())]
    assert table.num_rows == len(raw) == 3000
    assert table.num_columns == 82
    # The description counts 53 clicks.
    assert sum(table["clicked"].to_pylist()) == 53
    assert table["seq"].to_pylist() == [[int(token) for token in row["seq_list"].split("^")] for row in raw]
    assert table["hour"].to_pylist() == [int(row["hour"]) for row in raw]
    assert table["feat_e_2"].to_pylist() == [float(row["feat_e_2"]) for row in raw]


def test_toss_as_its_owner_publishes_it(tmp_path):
    import pyarrow as pa

    from tfrec.data.sources.toss import _CATEGORIES, _NUMBERS

    columns = {name: ["1.0", None] for name in _CATEGORIES}
    columns |= {name: [0.5, None] for name in (*_NUMBERS, "history_a_1")}
    columns |= {"seq": ["9,516,57", "74"], "clicked": [0, 1]}
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    prepare(public_dataset("toss"), tmp_path, tmp_path / "X.parquet")
    table = pq.read_table(tmp_path / "X.parquet")
    assert table["seq"].to_pylist() == [[9, 516, 57], [74]]
    assert table["gender"].to_pylist() == [1, None]
    assert table["history_a_1"].to_pylist() == [0.5, None]


def test_tianchi(real_data, tmp_path):
    table = read(real_data, tmp_path, "tianchi").to_pydict()
    with (real_data / "tianchi" / "sample_user_behavior.csv").open() as file:
        raw = list(csv.DictReader(file))
    assert table["item_id"] == [int(row["item_id"]) for row in raw]
    assert table["behavior_type"] == [int(row["behavior_type"]) for row in raw]
    assert table["user_geohash"] == [row["user_geohash"] or None for row in raw]
    # 2014-12-06 02:00 UTC: 16,410 days after 1970-01-01 and two hours.
    assert raw[0]["time"] == "2014-12-06 02"
    assert table["timestamp"][0] == (16_410 * 24 + 2) * 3_600_000


def test_tianchi_as_a_data_set(real_data, tmp_path, get):
    """Users with 20 events and more, by user and hour, rows of an hour in their order, with behaviour and category."""
    get("tianchi", "--from", real_data / "tianchi", "--dataset", tmp_path / "DS")
    with (real_data / "tianchi" / "sample_user_behavior.csv").open() as file:
        raw = list(csv.DictReader(file))
    expected, category = {}, {}
    for row in sorted(raw, key=lambda row: row["time"]):  # a stable sort
        expected.setdefault(int(row["user_id"]), []).append((int(row["item_id"]), int(row["behavior_type"])))
        item = int(row["item_id"])
        category[item] = min(int(row["item_category"]), category.get(item, 10**9))
    expected = {user: events for user, events in expected.items() if len(events) >= 20}
    dataset = InteractionDataset.open(tmp_path / "DS")
    found = {}
    kinds = dataset.vocabulary("behavior_type")
    for split in dataset.splits:
        for batch in sequence_dataset(dataset, split, 100).as_numpy_iterator():
            for row, user in enumerate(batch["user_id"].tolist()):
                items = dataset.item_vocabulary.raw(batch["item"][row, : batch["length"][row]])
                done = kinds.raw(batch["behavior_type"][row, : batch["length"][row]])
                found[user] = list(zip(items, done, strict=True))
    known = set(kinds.ids.tolist())
    assert len(found) >= 15
    assert found == {
        user: [(item, kind if kind in known else None) for item, kind in events] for user, events in expected.items()
    }
    values = dataset.vocabulary("item_category").raw(dataset.item_features().categories["item_category"][2:])
    items = dataset.item_vocabulary.ids.tolist()
    trained = [place for place in range(len(items)) if dataset.item_vocabulary.counts[place + 2]]
    assert [values[place] for place in trained] == [category[items[place]] for place in trained]


@pytest.mark.parametrize("time", ["2014-12-06", "noon"])
def test_tianchi_with_a_time_that_is_none(tmp_path, time):
    from tfrec.errors import DataError

    (tmp_path / "sample_user_behavior.csv").write_text(
        f"user_id,item_id,behavior_type,user_geohash,item_category,time\n1,2,1,,3,2014-12-06 02\n1,2,1,,3,{time}\n"
    )
    with pytest.raises(DataError, match=rf"column `time`, row 2.*`{time}`"):
        prepare(public_dataset("tianchi"), tmp_path, tmp_path / "X.parquet")
