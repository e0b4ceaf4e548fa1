"""Item files: kinds, vocabularies, cold items, and what is refused. Expected indices are counted by hand."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_features import RaggedRows
from tfrec.data.manifest import Manifest
from tfrec.data.shard_writer import ShardWriter
from tfrec.errors import ConfigError, DataError, SchemaMismatchError

NAN = float("nan")
# Leave-one-out: train holds 10, 11 (user 1) and 10, 12 (user 2); valid 12 and 10; test 13 and 14. So 10 has two
# training events; 12 and 11 one each, the larger text first; 13 and 14 none. Indices: 10 -> 2, 12 -> 3, 11 -> 4.
EVENTS = [(1, 10), (1, 11), (1, 12), (1, 13), (2, 10), (2, 12), (2, 10), (2, 14)]
# 99 is in the item file only. With cold items: 99 -> 5, 14 -> 6, 13 -> 7 (text, bytes descending).
ITEMS: dict[str, list[Any]] = {
    "item_id": [10, 11, 12, 13, 14, 99],
    "brand": ["a", "b", "b", "z", None, "a"],
    "genres": [["x", "y"], ["y", "x", "y"], [], None, ["q", "x", "r"], ["y"]],
    "size": [3, 3, 40, 3, 41, 40],
    "price": [1.0, 2.0, 6.0, NAN, 5.0, None],
    "title": ["Ten", "Elf", "", None, "Vierzehn", "Neunundneunzig"],
}


def log(kind: pa.DataType | None = None) -> pa.Table:
    user, item = zip(*EVENTS, strict=True)
    ids = pa.array([str(i) for i in item]) if kind == pa.string() else pa.array(item)
    return pa.table({"user_id": list(user), "item_id": ids, "timestamp": list(range(len(EVENTS)))})


@pytest.fixture
def item_file(tmp_path) -> Path:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table(ITEMS), path)
    return path


@pytest.fixture
def run(tmp_path, item_file):
    def convert_with(table: pa.Table | None = None, **options: Any) -> InteractionDataset:
        options = {"items": (str(item_file),), "output": str(tmp_path / "DS"), **options}
        shutil.rmtree(options["output"], ignore_errors=True)
        convert(
            ConversionOptions(split="leave_one_out", user_col="user_id", time_unit="s", **options),
            table=log() if table is None else table,
        )
        return InteractionDataset.open(options["output"])

    return convert_with


def test_training_items_only(run):
    dataset = run(item_features=("brand", "genres", "size", "price"))
    features = dataset.item_features()
    assert dataset.item_vocabulary.ids.tolist() == [10, 12, 11]
    assert features.size == 5
    assert features.known.tolist() == [False, False, True, True, True]
    # b is the brand of two training items, a of one.
    assert dataset.vocabulary("brand").ids.tolist() == ["b", "a"]
    assert dataset.vocabulary("brand").counts.tolist() == [0, 0, 2, 1]
    assert features.categories["brand"].tolist() == [0, 0, 3, 2, 2]
    # x and y both have two training items (10 and 11): y first. Repeated values of a list count once.
    assert dataset.vocabulary("genres").ids.tolist() == ["y", "x"]
    rows = features.lists["genres"]
    assert [rows.row(n).tolist() for n in range(len(rows))] == [[], [], [3, 2], [], [2, 3]]
    # Integers are categories unless told otherwise, and stay integers.
    assert dataset.vocabulary("size").ids.tolist() == [3, 40]
    assert features.categories["size"].tolist() == [0, 0, 2, 3, 2]
    assert features.numbers["price"].tolist()[2:] == [1.0, 6.0, 2.0]
    assert features.titles.tolist() == ["", "", "Ten", "", "Elf"]
    assert features.vocabulary_sizes == {"brand": 4, "genres": 4, "size": 4}
    assert dataset.manifest.counts.cold_items == 0


def test_cold_items_follow_with_count_zero_and_keep_their_events(run):
    dataset = run(cold_items="keep")
    features = dataset.item_features()
    assert dataset.item_vocabulary.ids.tolist() == [10, 12, 11, 99, 14, 13]
    assert dataset.item_vocabulary.counts.tolist() == [0, 0, 2, 1, 1, 0, 0, 0]
    assert dataset.manifest.counts.cold_items == 3
    assert dataset.manifest.counts.dropped_events["unknown_items"] == 0
    # Values that no training item has (z, q, r) are index 1, in a list once; the vocabularies are those of before.
    assert dataset.vocabulary("brand").ids.tolist() == ["b", "a"]
    assert features.categories["brand"].tolist() == [0, 0, 3, 2, 2, 3, 0, 1]
    assert features.lists["genres"].row(6).tolist() == [1, 3]
    assert features.lists["genres"].row(7).tolist() == []
    test = dataset.load_ragged("test")
    assert test.items.tolist() == [2, 4, 3, 7, 2, 3, 2, 6]


def test_statistics_are_those_of_training_items(run):
    dataset = run(cold_items="keep", item_features=("price", "size:number"))
    features = dataset.item_features()
    found = features.statistics["price"]
    # Prices 1, 6, 2: mean 3, variance (4 + 9 + 1) / 3.
    assert (found.mean, found.minimum, found.maximum, found.missing) == (3.0, 1.0, 6.0, 2)
    assert found.std == pytest.approx((14 / 3) ** 0.5)
    expected = np.array([0, 0, -2, 3, -1, 0, 2, 0]) / (14 / 3) ** 0.5
    np.testing.assert_allclose(features.standardized("price"), expected, rtol=1e-6)
    assert features.numbers["size"].tolist()[2:] == [3.0, 40.0, 3.0, 40.0, 41.0, 3.0]
    assert features.as_tensors().keys() == {"price", "size"}


def test_a_number_that_is_the_same_everywhere_is_zero(run, item_file):
    pq.write_table(pa.table({"item_id": ITEMS["item_id"], "price": [7.0] * 6}), item_file)
    assert run().item_features().standardized("price").tolist() == [0.0] * 5


def test_ids_of_text(run, item_file):
    texts = {**ITEMS, "item_id": [str(identity) for identity in ITEMS["item_id"]]}
    pq.write_table(pa.table(texts), item_file)
    dataset = run(log(pa.string()), cold_items="keep")
    assert dataset.item_vocabulary.ids.tolist() == ["10", "12", "11", "99", "14", "13"]
    assert dataset.item_features().titles.tolist()[2:] == ["Ten", "", "Elf", "Neunundneunzig", "Vierzehn", ""]


@pytest.mark.parametrize("string", [False, True])
def test_unknown_items_keep_needs_no_item_file(run, string):
    dataset = run(log(pa.string() if string else None), items=(), unknown_items="keep")
    assert [int(identity) for identity in dataset.item_vocabulary.ids] == [10, 12, 11, 14, 13]
    assert dataset.item_vocabulary.counts.tolist() == [0, 0, 2, 1, 1, 0, 0]
    assert dataset.load_ragged("test").items.tolist() == [2, 4, 3, 6, 2, 3, 2, 5]
    assert dataset.manifest.counts.events == len(EVENTS)
    assert dataset.manifest.splits["test"].unknown_item_events == 0
    assert not dataset.has_item_features
    with pytest.raises(ConfigError, match="no item features"):
        dataset.item_features()


def test_recbole_item_file_knows_its_kinds(run, tmp_path):
    path = tmp_path / "x.item"
    path.write_text(
        "item_id:token\tgenre:token_seq\tprice:float\tbrand:token\n10\tA B\t1.5\t7\n11\tB\t\t7\n12\t\t2.5\t\n",
        encoding="utf-8",
    )
    dataset = run(items=(str(path),))
    features = dataset.item_features()
    assert dataset.vocabulary("genre").ids.tolist() == ["B", "A"]
    assert features.lists["genre"].row(2).tolist() == [3, 2]
    assert features.categories["brand"].tolist() == [0, 0, 2, 0, 2]
    np.testing.assert_array_equal(features.numbers["price"][2:], np.array([1.5, 2.5, NAN], np.float32))
    assert features.titles is None


def test_csv_with_lists_and_another_separator(run, tmp_path):
    path = tmp_path / "x.csv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("id,tags,name\n10,a; b;;a,Café\n11,b,Ł\n12,,\n")
    options = {"items_id_col": "id", "item_title_col": "name", "item_list_separator": ";"}
    dataset = run(items=(str(path),), item_features=("tags:list",), **options)
    features = dataset.item_features()
    # b has two items, a one.
    assert dataset.vocabulary("tags").ids.tolist() == ["b", "a"]
    assert [features.lists["tags"].row(n).tolist() for n in (2, 3, 4)] == [[3, 2], [], [2]]
    assert features.titles.tolist() == ["", "", "Café", "", "Ł"]


def test_json_lines_hold_arrays(run, tmp_path):
    path = tmp_path / "x.jsonl"
    lines = ['{"item_id": 10, "tags": ["a", "b, c"], "price": 1.5}', '{"item_id": 11, "tags": [], "price": null}']
    path.write_text("\n".join([*lines, '{"item_id": 12, "tags": "b, c|a"}']) + "\n")
    dataset = run(items=(str(path),), item_features=("tags:list", "price:number"))
    assert dataset.vocabulary("tags").ids.tolist() == ["b, c", "a"]
    rows = dataset.item_features().lists["tags"]
    assert [rows.row(n).tolist() for n in (2, 3, 4)] == [[3, 2], [2, 3], []]


def test_resumed_conversion_ends_with_the_same_bytes(run, tmp_path, monkeypatch):
    whole = run(cold_items="keep", output=str(tmp_path / "A"), shards=2)
    finish = ShardWriter._finish

    def interrupted(self: ShardWriter, events: int) -> None:
        finish(self, events)
        raise KeyboardInterrupt

    monkeypatch.setattr(ShardWriter, "_finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(cold_items="keep", output=str(tmp_path / "B"), shards=2)
    monkeypatch.undo()
    again = run(cold_items="keep", output=str(tmp_path / "B"), shards=2, resume=True)
    for name in ("manifest.json", "items.tfrecord", "vocab/item.parquet", "vocab/brand.parquet"):
        assert (Path(again.path) / name).read_bytes() == (Path(whole.path) / name).read_bytes()


@pytest.mark.parametrize("unknown_items", ["drop", "oov", "keep"])
def test_the_audit_counts_items_without_training_events_as_unseen(run, unknown_items):
    dataset = run(items=(), unknown_items=unknown_items, audit=True)
    assert dataset.manifest.audit.unseen_items["test"] == 2  # 13 and 14


def test_missing_rows_may_be_empty(run, item_file):
    pq.write_table(pa.table(ITEMS).slice(0, 1), item_file)
    with pytest.raises(DataError, match=r"2 items of the log have no row here: `12`, `11`\..*--missing-items empty"):
        run()
    features = run(missing_items="empty").item_features()
    assert features.known.tolist() == [False, False, True, False, False]
    assert features.categories["brand"].tolist() == [0, 0, 2, 0, 0]
    assert np.isnan(features.numbers["price"][3:]).all()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_same_bytes_and_damage_is_noticed(run, tmp_path, compression):
    first = run(cold_items="keep", compression=compression, output=str(tmp_path / "A"))
    second = run(cold_items="keep", compression=compression, output=str(tmp_path / "B"))
    files = {path.relative_to(first.path): path.read_bytes() for path in Path(first.path).rglob("*") if path.is_file()}
    assert files == {
        path.relative_to(second.path): path.read_bytes() for path in Path(second.path).rglob("*") if path.is_file()
    }
    first.verify()
    path = Path(first.path) / first.manifest.items.path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        first.verify()
    path.write_bytes(bytes(content[:-1]))
    with pytest.raises(DataError, match="bytes"):
        InteractionDataset.open(first.path)


def test_schema_holds_features_but_not_titles(run, item_file):
    plain = run(items=()).schema
    with_features = run(item_features=("brand", "genres")).schema
    assert plain.hash != with_features.hash
    assert [feature.name for feature in with_features.item_features] == ["index", "known", "brand", "genres", "title"]
    with pytest.raises(SchemaMismatchError, match=r"`item.brand`: expected scalar of int64.*missing"):
        with_features.check(plain)
    pq.write_table(pa.table(ITEMS).drop(["title"]), item_file)
    assert run(item_features=("brand", "genres")).schema.hash == with_features.hash
    changed = {**ITEMS, "brand": ["a", "c", "b", "z", None, "a"]}
    pq.write_table(pa.table(changed), item_file)
    assert run(item_features=("brand", "genres")).schema.hash != with_features.hash


def test_manifest_names_the_file_and_its_features(run, item_file):
    record = Manifest.from_json((Path(run().path) / "manifest.json").read_text()).items
    assert record.id_column == "item_id"
    assert record.title_column == "title"
    assert [(feature.name, feature.kind) for feature in record.features] == [
        ("brand", "category"),
        ("genres", "list"),
        ("size", "category"),
        ("price", "number"),
    ]
    assert record.sources[0].path == str(item_file)
    assert record.sources[0].bytes == item_file.stat().st_size
    assert (record.items, record.known) == (3, 3)


def test_dry_run_checks_items_and_writes_nothing(run, tmp_path, item_file):
    options = ConversionOptions(
        output=str(tmp_path / "dry"), split="leave_one_out", user_col="user_id", items=(str(item_file),), dry_run=True
    )
    assert convert(options, table=log()).items.items == 3
    assert not list(tmp_path.glob("dry*"))


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({"item_id": [10, 11, 12, 13, 10, 99]}, {}, DataError, r"row 5: The item `10` has another row already: row 1"),
        ({"item_id": [10, None, 12, 13, 14, 99]}, {}, DataError, r"row 2: The item id is missing"),
        ({"item_id": ["10", "11", "12", "x", "14", "9"]}, {}, DataError, r"row 4: The item id `x` is not an int64"),
        ({}, {"item_features": ("brnd",)}, DataError, r"`brnd` \(--item-features\).*Did you mean `brand`"),
        ({}, {"items_id_col": "sku"}, DataError, r"`sku` \(--items-id-col\)"),
        ({}, {"item_title_col": "name"}, DataError, r"`name` \(--item-title-col\)"),
        ({}, {"item_features": ("brand:colour",)}, ConfigError, "unknown kind `colour`"),
        ({}, {"item_features": ("brand", "brand")}, ConfigError, "twice"),
        ({}, {"item_features": ("",)}, ConfigError, "empty name"),
        ({}, {"item_features": ("title",)}, ConfigError, "cannot be an item feature"),
        ({"user": [1] * 6}, {}, ConfigError, "`user` cannot be an item feature"),
        ({}, {"item_features": ("genres:number",)}, DataError, r"VARCHAR\[\], which cannot be read as `number`"),
        ({}, {"item_features": ("price:list",)}, DataError, "cannot be read as `list`"),
        ({"brand": list("12x456")}, {"item_features": ("brand:number",)}, DataError, r"row 3: `x` is not a number"),
        ({"price": [1.0, 2, 3, 1e39, 5, 6]}, {}, DataError, r"row 4: `1e\+39` is not a finite float32"),
        ({"price": [1.0, 2, 3, float("inf"), 5, 6]}, {}, DataError, r"row 4: `inf` is not a finite float32"),
    ],
)
def test_refused(run, item_file, change, options, error, words):
    pq.write_table(pa.table({**ITEMS, **change}), item_file)
    with pytest.raises(error, match=words):
        run(**options)


@pytest.mark.parametrize("option", ["item_features", "items_id_col", "item_title_col", "cold_items"])
def test_item_options_need_items(option):
    value: Any = {"item_features": ("a",), "cold_items": "keep"}.get(option, "a")
    with pytest.raises(ConfigError, match=f"`--{option.replace('_', '-')}` has no effect without `--items`"):
        ConversionOptions(output="x", **{option: value})


def test_padded_rows():
    rows = RaggedRows(np.array([5, 6, 7, 8], np.int32), np.array([0, 0, 3, 4]))
    assert rows.padded().tolist() == [[0, 0, 0], [5, 6, 7], [8, 0, 0]]
    assert rows.padded(2).tolist() == [[0, 0], [5, 6], [8, 0]]
    assert rows.padded(9).shape == (3, 3)
    assert RaggedRows(np.zeros(0, np.int32), np.zeros(4, np.int64)).padded().shape == (3, 0)
