"""Vectors of creatives from shards of several formats, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.competition.raw_files import Harm
from tfrec.data.competition.creative_vectors import store_creative_vectors, vector_families
from tfrec.data.competition.preparation import prepare_competition
from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.data.competition.world import World
from tfrec.errors import DataError


def test_vectors_come_in_shards_of_several_formats(made: tuple[Path, World], tmp_path: Path) -> None:
    ids, matrix = store_creative_vectors(made[0], "81", tmp_path / "a")
    folder = tmp_path / "raw" / "creative_emb"
    (folder / "emb_81_6").mkdir(parents=True)
    whole = folder / "emb_81_6.pkl"
    whole.write_bytes((made[0] / "creative_emb" / "emb_81_6.pkl").read_bytes())
    order = np.argsort(ids)

    def check(name: str) -> None:
        others, again = store_creative_vectors(tmp_path / "raw", "81", tmp_path / name)
        np.testing.assert_array_equal(ids[order], np.sort(others))
        np.testing.assert_allclose(matrix[order], again[np.argsort(others)], atol=1e-5)
        assert isinstance(again, np.memmap)

    check("one pickle")
    held = load_pickle(whole)
    whole.unlink()
    for part in range(3):
        shard = dict(list(held.items())[part::3])
        (folder / "emb_81_6" / f"part-{part}.pkl").write_bytes(pickle.dumps({**shard, f"{part}": None}))
    check("pickled shards")
    (folder / "emb_81_6" / "part-0.pkl").write_bytes(pickle.dumps({"7": Harm()}))
    with pytest.raises(DataError, match=r"part-0\.pkl.*could run code"):
        check("harm")


def test_lines_with_other_keys_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "creative_emb" / "emb_81_2"
    folder.mkdir(parents=True)
    (folder / "part-0").write_text('{"anonymous_cid": "7", "emb": [1.0, 2.0]}\n')
    for line in ('{"cid": "8", "emb": [1.0, 2.0]}', '{"anonymous_cid": "8", "vector": [1.0, 2.0]}'):
        (folder / "part-1").write_text(line + "\n")
        with pytest.raises(DataError, match=r"part-1.*Its lines have .*`anonymous_cid` and `emb` are needed"):
            store_creative_vectors(tmp_path, "81", tmp_path / "out")


def test_families_are_known_by_their_files(made: tuple[Path, World], tmp_path: Path) -> None:
    assert vector_families(made[0]) == ["81"]
    (tmp_path / "mm_emb" / "emb_82_1024_parquet").mkdir(parents=True)
    assert vector_families(tmp_path) == ["82"]
    with pytest.raises(DataError, match=r"no vectors `82`.*Known: 81"):
        prepare_competition(made[0], tmp_path / "out", vectors=("81", "82"))
    assert not list(tmp_path.glob("out*"))  # before the log is read


def test_vectors_of_other_widths_are_refused_and_empty_shards_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "creative_emb" / "emb_81_2"
    folder.mkdir(parents=True)

    def read() -> tuple[list[int], list[list[float]]]:
        ids, matrix = store_creative_vectors(tmp_path, "81", tmp_path / "store")
        return ids.tolist(), matrix.tolist()

    with pytest.raises(DataError, match="no vectors `81`"):
        read()
    (folder / "part-0.json").write_text("")
    with pytest.raises(DataError, match="no vectors `81`"):
        read()
    row = '{"anonymous_cid": "7", "emb": [0.5, 2.0]}\n'
    (folder / "part-1.json").write_text(row + row.replace('"7"', '"9"').replace("[0.5, 2.0]", "null"))
    assert read() == ([7], [[0.5, 2.0]])
    (folder / "part-2.json").write_text(row)
    with pytest.raises(DataError, match="creative 7 has several"):
        read()
    (folder / "part-2.json").unlink()
    for wrong, words in (
        # 1 and 3 numbers are as many as 2 and 2.
        (row.replace("0.5, 2.0", "1.0") + row.replace("0.5", "0.5, 1.0"), r"part-0.*row 2: .*differ in width"),
        (row.replace("0.5, 2.0", "1.0"), r"part-1.*`81` differ in width"),
        (row + row.replace('"7"', '"seven"'), r"part-0.*row 2: `seven` is no id"),
        (row.replace("0.5", "1e999"), r"part-0"),
        ("nonsense\n", r"part-0.*No lines of"),
    ):
        (folder / "part-0.json").write_text(wrong)
        with pytest.raises(DataError, match=words):
            read()
    for path in folder.iterdir():
        path.unlink()
    (folder.parent / "emb_81_2.pkl").write_bytes(pickle.dumps({"7": np.zeros(2), "8": np.zeros(3)}))
    with pytest.raises(DataError, match=r"row 2: .*differ in width"):
        read()


def test_columns_that_hold_no_vectors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mm_emb" / "emb_81_2_parquet" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    fixed = pa.array([[0.5, 2.0], [1.0, 0.0]], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"anonymous_cid": [7, 9], "emb": fixed}), path)
    assert store_creative_vectors(tmp_path, "81", tmp_path / "a").vectors.tolist() == [[0.5, 2.0], [1.0, 0.0]]
    for values, words in (
        (["a", "b"], "column `emb`: Its type is string, no list of numbers"),
        ([["a"], ["b"]], "column `emb`: Its type is list"),
        (pa.array([[], []], pa.list_(pa.float32())), "row 1: Vectors of one file .* are empty"),
    ):
        pq.write_table(pa.table({"anonymous_cid": [7, 9], "emb": values}), path)
        with pytest.raises(DataError, match=words):
            store_creative_vectors(tmp_path, "81", tmp_path / "b")
