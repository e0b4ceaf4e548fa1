"""Files of texts and of vectors: what is read back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.command import run_command
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_text, write_item_vectors
from tfrec.data.user_vectors import read_user_vectors, user_vector_names, write_user_vectors
from tfrec.errors import ConfigError, DataError, TfrecError
from tfrec.text.encode import take_vectors
from tfrec.text.texts import Texts, read_texts, write_texts
from tfrec.text.vector_file import read_vector_file
from tfrec.texts import main

MADE = Texts([3, 2**40], ["drei\n☃", '"four"'], "train_only", "abc", {"generator": "template"})


@pytest.mark.parametrize(("suffix", "ids"), [("json", ["3", str(2**40)]), ("parquet", MADE.ids)])
def test_texts_come_back_with_their_mark(tmp_path: Path, suffix: str, ids: list[Any]) -> None:
    path = tmp_path / "new" / f"t.{suffix}"
    write_texts(path, MADE)
    assert read_texts(path) == Texts(ids, MADE.texts, "train_only", "abc", {"generator": "template"})
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_foreign_file_is_of_unknown_provenance(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"1": "one", "2": ""}')
    pq.write_table(pa.table({"text": ["one", ""], "id": ["1", "2"]}), tmp_path / "a.parquet")
    for name in ("a.json", "a.parquet"):
        assert read_texts(tmp_path / name) == Texts(["1", "2"], ["one", ""])
        assert read_texts(tmp_path / name).present() == Texts(["1"], ["one"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[1, 2]", "Not an object"),
        ("{", "Not JSON"),
        ('{"a": 1}', "row 1: The text of `a` is int"),
        ('{"a": "x", "a": "y"}', "`a` is there twice"),
        ("{}", "holds no text"),
        (b"PAR1", "Parquet"),
        ({"id": ["a"], "words": ["x"]}, "column `text`: There is no such column, but `id`, `words`"),
        ({"id": ["a", "a"], "text": ["x", "y"]}, "`a` has two texts"),
        ({"id": ["a", None], "text": ["x", "y"]}, "row 2"),
    ],
)
def test_damaged_files_of_texts(tmp_path: Path, content: Any, problem: str) -> None:
    path = tmp_path / ("t.json" if isinstance(content, str) else "t.parquet")
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(pa.table(content), path)
    with pytest.raises(DataError, match=problem) as caught:
        read_texts(path)
    assert str(path) in str(caught.value)
    with pytest.raises(DataError, match="No such file"):
        read_texts(tmp_path / "absent.json")
    with pytest.raises(ConfigError, match="neither"):
        write_texts(tmp_path / "t.txt", MADE)


def test_vectors_of_archives_and_parquet(tmp_path: Path) -> None:
    vectors = np.array([[1, 2], [3, 4]], np.float32)
    np.savez(tmp_path / "v.npz", ids=np.array(["a", "ß"]), vectors=vectors.astype(np.float64))
    pq.write_table(pa.table({"id": ["a", "ß"], "vector": vectors.tolist()}), tmp_path / "v.parquet")
    for name in ("v.npz", "v.parquet"):
        ids, found = read_vector_file(tmp_path / name)
        assert ids.tolist() == ["a", "ß"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"ids": [1]}, "no array `vectors`"),
        ({"ids": [1, 2], "vectors": np.ones((1, 3))}, "shape"),
        ({"ids": [1], "vectors": np.ones((1, 3), int)}, "not floats"),
        ({"ids": np.array([None]), "vectors": np.ones((1, 3))}, "Not a numpy archive"),  # a pickle inside
        ({"ids": [1.5], "vectors": np.ones((1, 3))}, "neither integers nor text"),
    ],
)
def test_damaged_archives(tmp_path: Path, arrays: dict[str, Any], problem: str) -> None:
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(DataError, match=problem):
        read_vector_file(tmp_path / "v.npz")
    pq.write_table(pa.table({"id": [1, 2], "vector": [[1.0], [1.0, 2.0]]}), tmp_path / "v.parquet")
    with pytest.raises(DataError, match="lengths"):
        read_vector_file(tmp_path / "v.parquet")


def test_vectors_are_aligned_with_the_vocabularies(cinema: InteractionDataset) -> None:
    """Text that is an integer fits int64 ids; rows without a vector are zeros and masked."""
    known = write_item_vectors(cinema, "aligned", ["12", "99", "10"], np.array([[1.0, 2], [9, 9], [3, 4]]))
    assert known == 2
    text = read_item_text(cinema, "aligned")
    places = cinema.item_vocabulary.lookup([12, 10])
    expected = np.zeros((cinema.item_vocabulary.size, 2), np.float32)
    expected[places] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(text.vectors, expected)
    assert isinstance(text.vectors, np.memmap)
    assert np.flatnonzero(text.known).tolist() == sorted(places.tolist())
    write_user_vectors(cinema, "u", [9], np.array([[0.5]]), provenance="unknown")
    users = read_user_vectors(cinema, "u")
    assert users.vectors.shape == (5, 1)
    assert users.vectors[cinema.vocabulary("user").lookup([9])[0], 0] == 0.5
    assert "u" in user_vector_names(cinema)
    with pytest.raises(DataError, match=r"no user vectors `uu`\..*Did you mean `u`"):
        read_user_vectors(cinema, "uu")


@pytest.mark.parametrize(
    ("name", "ids", "problem"),
    [
        ("../up", [10], "not a name"),
        ("twice", [10, 10], "`10` has two vectors"),
        ("text", ["10", "x1"], "`x1` is not an integer"),
        ("short", [10, 11, 12], "3 ids"),
    ],
)
def test_vectors_that_cannot_be_written(cinema: InteractionDataset, name: str, ids: list[Any], problem: str) -> None:
    with pytest.raises(TfrecError, match=problem):
        write_item_vectors(cinema, name, ids, np.ones((min(2, len(ids)), 2)))
    assert not list((Path(cinema.path) / "item_vectors").glob(f"*{name}*"))


def test_vectors_of_strangers_are_refused(cinema: InteractionDataset, tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", ids=[100, 101], vectors=np.ones((2, 2)))
    with pytest.raises(DataError, match="Not one id"):
        take_vectors(cinema, "items", "strangers", tmp_path / "v.npz")


@pytest.mark.parametrize(
    ("ids", "dry_run", "remark"),
    [
        ([7, 10, 11], False, "2 of 3 ids are of none of the users of this dataset"),  # two items among them
        ([7, 10, 11], True, "2 of 3 ids are of none of the users of this dataset"),
        ([7, 8, 10, 11], False, ""),  # half of them
    ],
)
def test_a_file_of_which_most_ids_are_unknown_is_remarked_on(
    cinema: InteractionDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    ids: list[int],
    dry_run: bool,
    remark: str,
) -> None:
    file = tmp_path / "v.npz"
    np.savez(file, ids=ids, vectors=np.ones((len(ids), 2)))
    arguments = ["encode", "--data", cinema.path, "--of", "users", "--name", "mixed", "--vectors", str(file), "--json"]
    assert run_command(main, [*arguments, *(["--dry-run"] if dry_run else [])]) == 0
    written = capsys.readouterr()
    assert json.loads(written.out)["known"] == sum(one in (7, 8, 9) for one in ids)
    assert written.err.startswith(remark) if remark else not written.err
    assert ("use --of items" in written.err) == bool(remark)
