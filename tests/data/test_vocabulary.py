"""Lookup and reverse lookup of raw ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import DataError


def test_integer_ids():
    vocabulary = Vocabulary(pa.array([2**40, -3, 7]), [5, 4, 1])
    assert vocabulary.size == 5
    assert vocabulary.counts.tolist() == [0, 0, 5, 4, 1]
    assert vocabulary.lookup([7, 8, 2**40, -3]).tolist() == [4, 1, 2, 3]
    assert vocabulary.lookup(np.array([7])).dtype == np.int32
    assert vocabulary.raw([2, 3, 4]) == [2**40, -3, 7]
    assert vocabulary.raw([0, 1, 5, -1]) == [None] * 4


def test_string_ids():
    vocabulary = Vocabulary(pa.array(["b", "", "ä"]), [3, 2, 1])
    assert vocabulary.lookup(["ä", "a", "", "b"]).tolist() == [4, 1, 3, 2]
    assert vocabulary.raw(np.array([4, 2])) == ["ä", "b"]


@pytest.mark.parametrize(("ids", "raw"), [([1, 2], ["1"]), (["1", "2"], [1])])
def test_lookup_of_the_wrong_type(ids, raw):
    with pytest.raises(DataError, match="Ids of this vocabulary are"):
        Vocabulary(pa.array(ids), [1, 1]).lookup(raw)


@pytest.mark.parametrize("ids", [pa.array([9, 4]), pa.array(["y", "x"]), pa.array([], pa.int64())])
def test_file_round_trip(ids):
    original = Vocabulary(ids, range(len(ids), 0, -1))
    read = Vocabulary.from_parquet(original.to_parquet(), file="item.parquet")
    assert read.ids.tolist() == original.ids.tolist()
    assert read.counts.tolist() == original.counts.tolist()
    assert read.content_hash == original.content_hash
    assert read.id_type == original.id_type


def test_content_hash_separates_ids():
    hashes = {
        Vocabulary(pa.array(ids), [1, 1]).content_hash
        for ids in (["ab", "c"], ["a", "bc"], ["c", "ab"], [1, 2], [2, 1])
    }
    assert len(hashes) == 5


def test_file_with_gaps_in_the_index():
    table = pa.table({"id": [1, 2], "index": pa.array([2, 4], pa.int32()), "count": [1, 1]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    with pytest.raises(DataError, match="Indices must be 2, 3, 4"):
        Vocabulary.from_parquet(sink.getvalue().to_pybytes(), file="item.parquet")
