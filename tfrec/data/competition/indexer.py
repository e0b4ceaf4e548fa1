"""`indexer.pkl`: which number stands for which raw id."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.data.sql import literal
from tfrec.errors import DataError

INDEXER = "indexer.pkl"


def load_indexer(work: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Makes the tables `users` (raw text, number) and `creatives` (raw integer, number).

    Raises:
        DataError: The file is missing, damaged, or holds something else.
    """
    path = folder / INDEXER
    held = load_pickle(path)
    for key, name, kind in (("u", "users", str), ("i", "creatives", int)):
        try:
            raw = pa.array([kind(identity) for identity in held[key]])
            number = pa.array(held[key].values(), pa.int64())
        except (TypeError, KeyError, ValueError, AttributeError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(
                f"`{key}` is no dictionary of ids and their numbers: {error}.",
                file=str(path),
                remedy="Check that this is the file of the competition.",
            ) from error
        if len(number.unique()) < len(number):
            raise DataError(f"In `{key}` one number stands for several ids.", file=str(path))
        raw = raw.cast(pa.string() if kind is str else pa.int64())  # also of an empty one
        with tempfile.TemporaryDirectory() as scratch:
            file = f"{scratch}/{name}.parquet"
            pq.write_table(pa.table({"raw": raw, "number": number}), file)
            work.execute(f"CREATE TABLE {name} AS SELECT * FROM {literal(file)}")
