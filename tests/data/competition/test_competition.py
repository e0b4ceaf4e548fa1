"""The competition's files: written, read at random, refused when they could run code, and made a dataset."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tfrec.data.competition.generator import generate_competition
from tfrec.data.competition.preparation import Prepared, prepare_competition, read_creative_vectors
from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.data.competition.sequence_lines import SequenceLines
from tfrec.data.competition.world import World, WorldSize
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_vectors, write_item_vectors
from tfrec.errors import DataError

SIZE = WorldSize(users=60, test_users=20, items=80, topics=8, mean_length=9, max_length=20, vector_dim=6, seed=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    folder = tmp_path_factory.mktemp("competition") / "raw"
    return folder, generate_competition(folder, SIZE)


@pytest.fixture(scope="module")
def prepared(made: tuple[Path, World], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Prepared]:
    output = tmp_path_factory.mktemp("prepared") / "data"
    return output, prepare_competition(made[0], output)


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


def test_a_dataset_with_features_actions_and_vectors(made: tuple[Path, World], prepared: tuple[Path, Prepared]) -> None:
    output, found = prepared
    dataset = InteractionDataset.open(output / "dataset")
    assert dataset.splits == ["train", "valid", "test"]
    assert dataset.event_features == ["action_type"]
    assert dataset.item_vocabulary.size == 82  # the cold ones as well
    features = dataset.item_features()
    assert set(features.categories) == {
        *("f100", "f101", "f102", "f111", "f112", "f114", "f115", "f116"),
        *("f117", "f118", "f119", "f120", "f121", "f122"),
    }
    vectors = read_item_vectors(dataset, "81")
    ids, matrix = read_creative_vectors(made[0], "81")
    assert found.vectors == {"81": len(ids)}
    by_id = dict(zip(ids.to_pylist(), matrix, strict=True))
    for index, identity in enumerate(dataset.item_vocabulary.ids.tolist(), start=2):
        np.testing.assert_array_equal(vectors[index], by_id.get(identity, np.zeros(6)))
    assert 0 < len(ids) < 80  # some are missing
    with pytest.raises(DataError, match="no item vectors `82`"):
        read_item_vectors(dataset, "82")
    with pytest.raises(DataError, match="NaN"):
        write_item_vectors(dataset, "wrong", ids.to_pylist()[:1], np.array([[np.nan]]))


def test_shards_and_pickle_hold_the_same_vectors(made: tuple[Path, World], tmp_path: Path) -> None:
    ids, matrix = read_creative_vectors(made[0], "81")
    (tmp_path / "creative_emb").mkdir()
    name = "creative_emb/emb_81_6.pkl"
    (tmp_path / name).write_bytes((made[0] / name).read_bytes())
    others, again = read_creative_vectors(tmp_path, "81")
    order = np.argsort(ids.to_numpy()), np.argsort(others.to_numpy())
    np.testing.assert_array_equal(ids.to_numpy()[order[0]], others.to_numpy()[order[1]])
    np.testing.assert_allclose(matrix[order[0]], again[order[1]], atol=1e-5)


def test_vectors_of_other_widths_are_refused_and_empty_shards_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "creative_emb" / "emb_81_2"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match="no vectors `81`"):
        read_creative_vectors(tmp_path, "81")
    (folder / "part-0.json").write_text("")
    with pytest.raises(DataError, match="no vectors `81`"):
        read_creative_vectors(tmp_path, "81")
    row = '{"anonymous_cid": "7", "emb": [0.5, 2.0]}\n'
    (folder / "part-1.json").write_text(row)
    ids, matrix = read_creative_vectors(tmp_path, "81")
    assert (ids.to_pylist(), matrix.tolist()) == ([7], [[0.5, 2.0]])
    # 1 and 3 numbers are as many as 2 and 2.
    (folder / "part-0.json").write_text(row.replace("0.5, 2.0", "1.0") + row.replace("0.5", "0.5, 1.0"))
    with pytest.raises(DataError, match=r"part-0.*differ in width"):
        read_creative_vectors(tmp_path, "81")
    (folder / "part-0.json").write_text(row.replace("0.5, 2.0", "1.0"))
    with pytest.raises(DataError, match="`81` differ in width"):
        read_creative_vectors(tmp_path, "81")
    for path in folder.iterdir():
        path.unlink()
    (folder.parent / "emb_81_2.pkl").write_bytes(pickle.dumps({"7": np.zeros(2), "8": np.zeros(3)}))
    with pytest.raises(DataError, match="`81` differ in width"):
        read_creative_vectors(tmp_path, "81")


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


class Harm:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch harmed",)


def test_a_pickle_that_could_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "indexer.pkl"
    path.write_bytes(pickle.dumps({"u": Harm()}))
    with pytest.raises(DataError, match=r"system.*could run code"):
        load_pickle(path)
    assert not (tmp_path / "harmed").exists()
    path.write_bytes(pickle.dumps({"u": {1: np.arange(3)}, "n": np.float32(2.5)})[:-4])
    with pytest.raises(DataError, match="damaged"):
        load_pickle(path)
    path.write_bytes(pickle.dumps({"u": {1: np.arange(3)}, "n": np.float32(2.5)}))
    assert load_pickle(path)["u"][1].tolist() == [0, 1, 2]


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`seq\.jsonl` is missing"):
        prepare_competition(tmp_path, tmp_path / "out")
    (tmp_path / "seq.jsonl").write_text("[[1, 2]]\n[\n")
    (tmp_path / "seq_offsets.pkl").write_bytes(pickle.dumps([0, 9]))
    lines = SequenceLines(tmp_path / "seq.jsonl")
    for number in (0, 1):
        with pytest.raises(DataError, match=f"row {number + 1}: No list of records"):
            lines[number]
    (tmp_path / "seq_offsets.pkl").write_bytes(pickle.dumps([0, 99]))
    with pytest.raises(DataError, match="beyond the end"):
        SequenceLines(tmp_path / "seq.jsonl")
