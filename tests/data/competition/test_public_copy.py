"""The public copy in Parquet: the same dataset as from the files of the competition, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.competition.raw_files import SIZE, public_copy
from tfrec.data.competition.preparation import Prepared, prepare_competition
from tfrec.data.competition.world import World
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_vectors
from tfrec.errors import DataError


def test_the_public_copy_makes_the_same_dataset(
    made: tuple[Path, World], prepared: tuple[Path, Prepared], tmp_path: Path
) -> None:
    (raw, _), (output, found) = made, prepared
    again = prepare_competition(public_copy(raw, tmp_path / "copy"), tmp_path / "data")
    assert (again.users, again.events, again.actions) == (found.users, found.events, found.actions)
    assert (again.items, again.candidates, again.vectors) == (found.items, found.candidates, found.vectors)
    assert (again.test_users, again.profiles) == (0, SIZE.users)
    one, other = (InteractionDataset.open(path / "dataset") for path in (output, tmp_path / "data"))
    assert one.item_vocabulary.content_hash == other.item_vocabulary.content_hash
    order = {user: number for number, user in enumerate(one.load_ragged("train").user_ids.tolist())}
    mine, theirs = one.load_ragged("train"), other.load_ragged("train")
    for number, user in enumerate(theirs.user_ids.tolist()):
        rows = [slice(*split.offsets[place : place + 2]) for split, place in ((mine, order[user]), (theirs, number))]
        np.testing.assert_array_equal(mine.items[rows[0]], theirs.items[rows[1]])
        np.testing.assert_array_equal(mine.timestamps[rows[0]], theirs.timestamps[rows[1]])
    for name, values in one.item_features().categories.items():
        np.testing.assert_array_equal(values, other.item_features().categories[name])
    np.testing.assert_array_equal(read_item_vectors(one, "81"), read_item_vectors(other, "81"))
    assert set(other.user_features().lists) == {"u106", "u107", "u108", "u110"}
    # What data sets of Hugging Face call a sequence of records is a record of lists.
    public_copy(raw, tmp_path / "lists", lists=True)
    prepare_competition(tmp_path / "lists", tmp_path / "again", vectors=())
    events = [pq.read_table(tmp_path / name / "events.parquet") for name in ("data", "again")]
    assert events[0].equals(events[1])


def test_a_damaged_public_copy_is_refused(made: tuple[Path, World], tmp_path: Path) -> None:
    copy = public_copy(made[0], tmp_path / "copy")

    def refused(name: str, change: Any, words: str) -> None:
        path = copy / name / "part-1.parquet"
        whole = path.read_bytes()
        change(path)
        with pytest.raises(DataError, match=rf"(?s)part-1\.parquet.*{words}"):
            prepare_competition(copy, tmp_path / "out")
        path.write_bytes(whole)
        assert not (tmp_path / "out").exists()

    def with_column(column: str, place: int, value: Any) -> Any:
        def change(path: Path) -> None:
            rows = pq.read_table(path).to_pylist()
            rows[place][column] = value
            pq.write_table(pa.Table.from_pylist(rows), path)

        return change

    event = {"item_id": 9999, "action_type": 0, "timestamp": 5}
    refused("seq", with_column("seq", 3, [event]), "row 4: An item is of the number `9999`")
    refused("seq", with_column("seq", 2, [{**event, "item_id": 1, "timestamp": -1}]), "row 3: .*time")
    refused("seq", with_column("user_id", 1, 777), "row 2: A user is of the number `777`")
    refused("seq", lambda path: path.write_bytes(b"nothing"), "Not a readable Parquet")
    refused("item_feat", with_column("item_id", 4, 3), "`item_id` is `3`, which has a row already")
    refused("candidate", with_column("retrieval_id", 0, -3), "row 1: A `retrieval_id` is `-3`")
    refused("user_feat", lambda path: pq.write_table(pq.read_table(path).drop(["user_id"]), path), "`user_id`.*missing")
    refused("mm_emb/emb_81_6_parquet", with_column("anonymous_cid", 5, "x7"), "row 6: `x7` is no id")
    refused("mm_emb/emb_81_6_parquet", with_column("emb", 2, [1.0]), "row 3: .*differ in width")
