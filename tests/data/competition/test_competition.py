"""The competition's files: written, read at random and made a dataset."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.competition.raw_files import SIZE
from tfrec.data.competition import flat_json
from tfrec.data.competition.creative_vectors import store_creative_vectors
from tfrec.data.competition.generator import generate_competition
from tfrec.data.competition.histories import read_histories
from tfrec.data.competition.preparation import Prepared, prepare_competition, prepare_test
from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.data.competition.sequence_lines import SequenceLines
from tfrec.data.competition.side_columns import write_side_columns
from tfrec.data.competition.world import World
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_vectors, write_item_vectors
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import DataError


def test_lines_are_read_at_random(made: tuple[Path, World]) -> None:
    folder, world = made
    lines = SequenceLines(folder / "seq.jsonl")
    text = (folder / "seq.jsonl").read_text().splitlines()
    assert len(lines) == len(text) == SIZE.users
    for number in (59, 0, 17):
        assert [list(record) for record in lines[number]] == json.loads(text[number])
        assert len(lines[number]) == world.lengths[number] + 1
        [profile] = [record for record in lines[number] if record.item is None]
        assert (profile.user, profile.item_features) == (number + 1, None)
        assert set(profile.user_features or {}) == {"103", "104", "105", "106", "107", "108", "109", "110"}


def test_the_same_seed_writes_the_same_bytes(made: tuple[Path, World], tmp_path: Path) -> None:
    (tmp_path / "again.partial" / "creative_emb").mkdir(parents=True)  # of a run that was interrupted
    generate_competition(tmp_path / "again", SIZE)
    files = [path.relative_to(made[0]) for path in made[0].rglob("*") if path.is_file()]
    assert len(files) == 13
    assert all((tmp_path / "again" / name).read_bytes() == (made[0] / name).read_bytes() for name in files)
    with pytest.raises(DataError, match="exists"):
        generate_competition(tmp_path / "again", SIZE)


def test_events_are_those_of_the_world(made: tuple[Path, World], prepared: tuple[Path, Prepared]) -> None:
    (folder, world), (output, found) = made, prepared
    events = pq.read_table(output / "events.parquet")
    count = int(world.lengths[: SIZE.users].sum())
    assert (found.users, found.test_users, found.events, found.items) == (60, 20, count, 80)
    np.testing.assert_array_equal(events["timestamp"], world.timestamp[:count])
    np.testing.assert_array_equal(events["action_type"], world.action[:count])
    users = [f"user_{number:07d}" for number in range(1, 61)]
    assert events["user_id"].to_pylist() == list(np.repeat(users, world.lengths[: SIZE.users]))
    # The ids are those of the index: the same item everywhere has the same id, others have others.
    pairs = set(zip(world.item[:count].tolist(), events["item_id"].to_pylist(), strict=True))
    assert len(pairs) == len({item for item, _ in pairs}) == len({identity for _, identity in pairs})
    number_of = load_pickle(folder / "indexer.pkl")["i"]
    first = SequenceLines(folder / "seq.jsonl")[0]
    numbers = [record.item for record in first if record.item is not None]
    assert [number_of[identity] for identity in events["item_id"].to_pylist()[: len(numbers)]] == numbers


def test_hidden_events_are_in_no_file_but_the_truth(made: tuple[Path, World], prepared: tuple[Path, Prepared]) -> None:
    (folder, world), (output, _) = made, prepared
    truth = [json.loads(line) for line in (folder / "truth.jsonl").open()]
    predict = pq.read_table(output / "predict.parquet").to_pandas()
    shown = predict.groupby("user_id", sort=True).size().to_dict()
    assert shown == {
        record["user_id"]: length - 1 for record, length in zip(truth, world.lengths[SIZE.users :], strict=True)
    }
    seen = set(pq.read_table(output / "events.parquet")["item_id"].to_pylist())
    assert {record["creative_id"] for record in truth} - seen  # cold items


def test_a_dataset_with_features_actions_and_vectors(
    made: tuple[Path, World], prepared: tuple[Path, Prepared], tmp_path: Path
) -> None:
    output, found = prepared
    dataset = InteractionDataset.open(output / "dataset")
    assert [source.path for source in dataset.manifest.sources] == [str(output / "events.parquet")]
    assert dataset.splits == ["train", "valid", "test"]
    assert dataset.event_features == ["action_type"]
    assert dataset.item_vocabulary.size == 82  # the cold ones as well
    features = dataset.item_features()
    assert set(features.categories) == {
        *("f100", "f101", "f102", "f111", "f112", "f114", "f115", "f116"),
        *("f117", "f118", "f119", "f120", "f121", "f122"),
    }
    vectors = read_item_vectors(dataset, "81")
    ids, matrix = store_creative_vectors(made[0], "81", tmp_path)
    assert found.vectors == {"81": len(ids)}
    by_id = dict(zip(ids.tolist(), matrix, strict=True))
    for index, identity in enumerate(dataset.item_vocabulary.ids.tolist(), start=2):
        np.testing.assert_array_equal(vectors[index], by_id.get(identity, np.zeros(6)))
    assert 0 < len(ids) < 80  # some are missing
    with pytest.raises(DataError, match="no item vectors `82`"):
        read_item_vectors(dataset, "82")
    with pytest.raises(DataError, match="NaN"):
        write_item_vectors(dataset, "wrong", ids[:1], np.array([[np.nan]]))


def test_profiles_are_features_of_users(made: tuple[Path, World], prepared: tuple[Path, Prepared]) -> None:
    (folder, world), (output, found) = made, prepared
    dataset = InteractionDataset.open(output / "dataset")
    features = dataset.user_features()
    assert found.profiles == SIZE.users + SIZE.test_users == features.size - 2
    assert set(features.categories) == {"u103", "u104", "u105", "u109"}
    assert set(features.lists) == {"u106", "u107", "u108", "u110"}
    index = dict(zip(dataset.vocabulary("user").ids.tolist(), range(2, 99), strict=False))
    assert dataset.vocabulary("user").counts.tolist()[-SIZE.test_users :] == [0] * SIZE.test_users
    for file, number in (("seq", 7), ("predict_seq", 3), ("predict_seq", 0)):
        [profile] = [record for record in SequenceLines(folder / f"{file}.jsonl")[number] if record.item is None]
        user = f"user_{number + 1 + (file != 'seq') * SIZE.users:07d}"
        given = profile.user_features or {}
        for name in ("104", "109"):
            known = dataset.vocabulary(f"u{name}").lookup([given[name]])[0]
            assert features.categories[f"u{name}"][index[user]] == known
        row = features.lists["u106"].row(index[user])
        assert row.tolist() == list(dict.fromkeys(dataset.vocabulary("u106").lookup(given["106"]).tolist()))
        # The first and every fifth test user has a value that was never indexed, as text: it is missing.
        cold = file != "seq" and number % 5 == 0
        assert isinstance(given["103"], str) is cold
        assert bool(features.categories["u103"][index[user]] == 0) is cold
    assert found.cold_values == SIZE.test_users // 5 + int(world.cold.sum())


def test_unknown_numbers_and_text_are_cold(tmp_path: Path) -> None:
    folder = tmp_path / "anna's files"
    folder.mkdir()
    rows = [[7, None, {"103": 1}, None, None, 5], [7, 1, None, {"100": 3}, 1, 10], [7, 2, None, {"100": 4}, 0, 9]]
    rows += [[7, 1, None, {"100": 3}, 0, 20], [7, 2, None, {"100": 4}, 2, 25]]
    (folder / "seq.jsonl").write_text(json.dumps(rows) + "\n")
    test = [["new", 2, None, {"100": 4}, 0, 30], ["new", 99, None, {"100": "odd"}, 0, 40]]
    (folder / "predict_seq.jsonl").write_text(json.dumps(test) + "\n")
    (folder / "indexer.pkl").write_bytes(pickle.dumps({"u": {"anna": 7}, "i": {500: 1, 600: 2}, "f": {}}))
    (folder / "item_feat_dict.json").write_text(json.dumps({"1": {"100": 3, "101": 0.5}, "2": {"100": 4}}))
    candidates = [{"creative_id": 900, "retrieval_id": 2**40, "features": {"100": "never seen", "101": 0.25}}]
    (folder / "predict_set.jsonl").write_text("".join(json.dumps(one) + "\n" for one in candidates))
    found = prepare_competition(folder, tmp_path / "anna's data", vectors=())
    events = pq.read_table(tmp_path / "anna's data" / "events.parquet").to_pylist()
    assert [tuple(event.values()) for event in events] == [
        ("anna", 600, 9, 0),  # in order of time
        ("anna", 500, 10, 1),
        ("anna", 500, 20, 0),
        ("anna", 600, 25, 2),
    ]
    predict = pq.read_table(tmp_path / "anna's data" / "predict.parquet").to_pylist()
    assert [event["item_id"] for event in predict] == [600, None]
    items = pq.read_table(tmp_path / "anna's data" / "items.parquet").to_pylist()
    assert items == [
        {"item_id": 500, "f100": 3, "f101": 0.5},
        {"item_id": 600, "f100": 4, "f101": None},
        {"item_id": 900, "f100": None, "f101": 0.25},
    ]
    assert (found.cold_values, found.candidates) == (1, 1)


def test_every_test_user_has_a_history_of_his_own(tmp_path: Path) -> None:
    """Of one user there are two lines, of another only the profile, and two users share a line."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "indexer.pkl").write_bytes(pickle.dumps({"u": {}, "i": {500: 1, 600: 2}, "f": {}}))
    (raw / "predict_set.jsonl").write_text('{"creative_id": 500, "retrieval_id": 1, "features": {}}\n')
    lines = [
        [["b", 1, None, {}, 0, 50], ["a", 2, None, {}, 0, 10], ["b", 2, None, {}, 0, 40]],
        [["told", None, {"103": 1}, None, None, 5]],
        [["c", 2, None, {}, 0, 7], ["c", 99, None, {}, 0, 8]],
        [["a", 1, None, {}, 0, 3], ["a", None, {"103": 2}, None, None, 3]],
    ]
    (raw / "predict_seq.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    prepare_test(raw, raw, tmp_path)
    found = read_histories(tmp_path / "predict.parquet", Vocabulary(pa.array([600, 500]), np.array([2, 1])))
    assert found.users == ["a", "b", "told", "c"]
    assert np.diff(found.offsets).tolist() == [2, 2, 0, 2]
    assert found.items.tolist() == [3, 2, 2, 3, 2, 1]
    assert found.times.tolist() == [3000, 10_000, 40_000, 50_000, 7000, 8000]
    items, times, lengths = found.padded(1, 4, 1)
    assert (items.tolist(), times.tolist(), lengths.tolist()) == ([[3], [0], [1]], [[50_000], [0], [8000]], [1, 0, 1])


def test_large_whole_numbers_keep_their_digits(tmp_path: Path) -> None:
    with duckdb.connect() as work:
        rows = [(1, json.dumps({"a": 2**53 + 1, "b": [2**62 + 1, 0, 3.0, "x"]})), (2, json.dumps({"a": 4.0}))]
        work.execute("CREATE TABLE features (id BIGINT, features JSON)")
        work.executemany("INSERT INTO features VALUES (?, ?)", rows)
        assert write_side_columns(work, "features", "id", tmp_path / "f.parquet", "f", tmp_path) == 1
    assert pq.read_table(tmp_path / "f.parquet").to_pylist() == [
        {"id": 1, "fa": 2**53 + 1, "fb": [2**62 + 1, 3]},
        {"id": 2, "fa": 4, "fb": []},
    ]


def test_entries_of_a_large_object_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_json, "_CHARACTERS_AT_ONCE", 3)
    monkeypatch.setattr(flat_json, "_ENTRIES_AT_ONCE", 2)
    held = {"a": {"x": [1, 2], "y": "ü}"}, "b": 12345, "c": None, "d": {}, "e f": "\\"}
    path = tmp_path / "held.json"
    path.write_text(json.dumps(held, indent=2, ensure_ascii=False))
    tables = list(flat_json.object_entries(path))
    assert [table.num_rows for table in tables] == [2, 2, 1]
    found = {key: json.loads(value) for table in tables for key, value in zip(*table.to_pydict().values(), strict=True)}
    assert found == held
    path.write_text(" {} ")
    assert [table.num_rows for table in flat_json.object_entries(path)] == [0]
