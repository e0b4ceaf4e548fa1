"""Vectors in files and in memory; nothing here needs a server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.stores.conftest import source
from tfrec.errors import ConfigError, DataError
from tfrec.stores.memory_store import MemoryStore
from tfrec.stores.nearest_vectors import NearestVectors
from tfrec.stores.store_errors import StoreError, VectorsMismatchError
from tfrec.stores.vector_description import VectorDescription
from tfrec.stores.vector_directory import VectorDirectory, VectorDirectoryWriter
from tfrec.stores.vector_encoding import decode_vectors, encode_vectors

ROWS = 40_000  # three groups of ids
ABOUT = VectorDescription(kind="users", count=ROWS, dim=3, id_type="string", model="m")


@pytest.fixture
def written(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((ROWS, 3)).astype(np.float32)
    ids = [f"u {n}" for n in range(ROWS)]
    with VectorDirectoryWriter(tmp_path / "v", ABOUT) as writer:
        for start in range(0, ROWS, 7_000):
            writer.write(ids[start : start + 7_000], vectors[start : start + 7_000])
    return tmp_path / "v", ids, vectors


def test_directory_round_trip(written):
    path, ids, vectors = written
    assert sorted(file.name for file in path.iterdir()) == ["ids.parquet", "vectors.json", "vectors.npy"]
    np.testing.assert_array_equal(np.load(path / "vectors.npy"), vectors)
    assert pq.read_table(path / "ids.parquet")["id"].to_pylist() == ids
    read = VectorDirectory(path)
    assert read.description == ABOUT
    for start, stop in ((0, 1), (16_383, 16_385), (100, 40_000), (39_999, 40_000), (5, 5)):
        assert read.ids(start, stop).to_pylist() == ids[start:stop]
        np.testing.assert_array_equal(read.vectors(start, stop), vectors[start:stop])


def test_a_directory_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(DataError, match="2 vectors were written, 40,000 were announced"):  # noqa: SIM117
        with VectorDirectoryWriter(tmp_path / "v", ABOUT) as writer:
            writer.write(["a", "b"], np.zeros((2, 3)))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="no vectors here"):
        VectorDirectory(tmp_path / "v")


def test_only_directories_of_vectors_are_replaced(written, tmp_path):
    path, *_ = written
    one = ABOUT.model_copy(update={"count": 1})
    with pytest.raises(ConfigError, match="exists"):
        VectorDirectoryWriter(path, one)
    with VectorDirectoryWriter(path, one, overwrite=True) as writer:
        writer.write(["x"], np.ones((1, 3)))
    assert VectorDirectory(path).ids(0, 1).to_pylist() == ["x"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").touch()
    with pytest.raises(ConfigError, match="holds no vectors"):
        VectorDirectoryWriter(tmp_path / "mine", one, overwrite=True)


@pytest.mark.parametrize("renamed", ["v.old", "v"])
def test_a_crash_while_replacing_leaves_old_or_new_vectors(written, renamed, monkeypatch):
    """Before and after the old vectors have made way; what is left is found by the next writer."""

    def crash(self, target):
        if target.name == renamed:
            raise KeyboardInterrupt
        return rename(self, target)

    path, ids, _ = written
    one = ABOUT.model_copy(update={"count": 1})
    with monkeypatch.context() as patch:
        rename = Path.rename
        patch.setattr(Path, "rename", crash)
        with pytest.raises(KeyboardInterrupt), VectorDirectoryWriter(path, one, overwrite=True) as writer:
            writer.write(["x"], np.ones((1, 3)))
    kept = path if renamed == "v.old" else path.with_name("v.old")
    assert VectorDirectory(kept).ids(0, 2).to_pylist() == ids[:2]
    with pytest.raises(ConfigError, match="exists"):
        VectorDirectoryWriter(path, one)
    assert VectorDirectory(path).ids(0, 2).to_pylist() == ids[:2]
    with VectorDirectoryWriter(path, one, overwrite=True) as writer:
        writer.write(["x"], np.ones((1, 3)))
    assert VectorDirectory(path).ids(0, 1).to_pylist() == ["x"]
    assert [file.name for file in path.parent.iterdir()] == ["v"]


def test_what_is_in_the_way_is_not_removed(tmp_path):
    one = ABOUT.model_copy(update={"count": 1})
    (tmp_path / "file").write_text("thesis")
    with pytest.raises(ConfigError, match=r"file` holds no vectors"):
        VectorDirectoryWriter(tmp_path / "file", one, overwrite=True)
    (tmp_path / "v.old").mkdir()
    (tmp_path / "v.old" / "thesis").touch()
    with pytest.raises(ConfigError, match=r"v\.old` holds no vectors"):
        VectorDirectoryWriter(tmp_path / "v", one)
    assert (tmp_path / "v.old" / "thesis").exists()


def test_encodings_match_numpy():
    vectors = np.random.default_rng(1).standard_normal((50, 7)).astype(np.float32) * np.float32(1e-3)
    vectors[0] = [0, -0.0, 1, 1e-30, 3.4e38, 65504, 1 / 3]
    singles = encode_vectors(vectors, "float32")
    assert [row.tobytes() for row in singles] == [row.astype("<f4").tobytes() for row in vectors]
    halves = encode_vectors(vectors[1:], "float16")
    assert [row.tobytes() for row in halves] == [row.astype("<f2").tobytes() for row in vectors[1:]]
    lists = encode_vectors(vectors, "json")
    parsed = [json.loads(text) for text in lists]
    np.testing.assert_array_equal(np.array(parsed, np.float32), vectors)  # to the last bit
    np.testing.assert_array_equal(decode_vectors(lists, "json", 7), vectors)
    stored = [row.tobytes() for row in halves]
    np.testing.assert_array_equal(decode_vectors(stored, "float16", 7), vectors[1:].astype("<f2").astype(np.float32))


@pytest.mark.parametrize(("value", "encoding"), [(np.nan, "float32"), (np.inf, "json"), (70_000.0, "float16")])
def test_what_cannot_be_stored_is_refused(value, encoding):
    with pytest.raises(DataError, match=r"not finite|limit of float16"):
        encode_vectors(np.array([[0.0, value]], np.float32), encoding)


@pytest.mark.parametrize(
    ("values", "encoding"),
    [([b"1234", b"12345678"], "float32"), ([b"[1.0]"], "json"), ([b"{x"], "json"), ([b"7"], "json")],
)
def test_foreign_values_are_recognised(values, encoding):
    with pytest.raises(VectorsMismatchError, match="stored value"):
        decode_vectors(values, encoding, 2)


def test_nearest_vectors_with_ties_and_bias():
    vectors = np.array([[1, 0, 9], [0, 2, 9], [3, 0, 0], [0, 0, 1], [2, 2, 0]], np.float32)
    plain = NearestVectors(list("abcde"), vectors[:, :2])
    # Cosines with (1, 0): 1, 0, 1, 0 (zero vector), 1/sqrt(2); ties by row.
    assert [(one.id, round(one.score, 4)) for one in plain.search(np.array([1, 0], np.float32), 4)] == [
        ("a", 1.0),
        ("c", 1.0),
        ("e", 0.7071),
        ("b", 0.0),
    ]
    assert [one.id for one in plain.search(np.array([1, 0], np.float32), 9, without=0)] == ["c", "e", "b", "d"]
    biased = NearestVectors(list("abcde"), vectors, bias_appended=True)
    query = np.array([1, 0, 1], np.float32)
    assert [(one.id, one.score) for one in biased.search(query, 2, metric="dot")] == [("a", 10.0), ("b", 9.0)]
    assert [one.id for one in biased.search(query, 2)] == ["a", "c"]  # cosines leave the bias out
    with pytest.raises(ConfigError, match="3 components"):
        biased.search(query[:2], 2)


def test_memory_store_behaves_as_a_store():
    store = MemoryStore(keep=2)
    with pytest.raises(VectorsMismatchError, match="No items vectors"):
        store.reader("items")
    first = store.publish([source([1, 2], [[1, 0], [0, 1]])])[0]
    reader = store.reader("items")
    second = store.publish([source([1, 3], [[5, 0], [0, 5]]), source(["u"], [[1, 1]], kind="users")])[0]
    assert (first.previous, second.previous) == (None, first.header.version)
    assert reader.is_stale()
    batch = reader.get_many([3, 2, 1])
    assert (batch.version, batch.found.tolist()) == (second.header.version, [True, False, True])
    np.testing.assert_array_equal(batch.vectors, [[0, 5], [0, 0], [5, 0]])
    assert not reader.is_stale()
    assert [one.id for one in reader.top_k(1)] == [3]
    with pytest.raises(StoreError, match="no version of the users"):
        store.rollback(["items", "users"])
    other = MemoryStore()
    for seed, kinds in enumerate((("items", "users"), ("items", "users"), ("items",))):
        other.publish([source([1], kind=kind, seed=seed) for kind in kinds])
    with pytest.raises(StoreError, match="published apart"):
        other.rollback(["items", "users"])
    assert store.rollback(["items"]) == [(second.header.version, first.header.version)]
    assert reader.get(2).tolist() == [0, 1]
    assert reader.get(3) is None


def test_ids_must_be_unique():
    with pytest.raises(DataError, match="occurs twice"):
        source([4, 5, 4])
    assert source(pa.array(["b", "a"])).description.id_type == "string"
