"""From the files of the competition to a dataset: events, items with features and vectors, test users, candidates."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.data.sql import literal
from tfrec.errors import DataError

EVENTS, PREDICT, USERS = "events.parquet", "predict.parquet", "users.parquet"
ITEMS, CANDIDATES, DATASET = "items.parquet", "candidates.parquet", "dataset"
ACTION = "action_type"
_AGAIN = "Check that this is the whole directory of the competition."
_NUMBER = re.compile(r"-?[0-9]+")

SemanticIds = Callable[[pa.Array, npt.NDArray[np.float32], Path], Path]
"""Makes semantic ids of items from their raw ids and vectors, in a directory; returns the Parquet file of features."""


@dataclass
class Prepared:
    """What was read.

    Attributes:
        users: Users with a training sequence.
        test_users: Users to predict for.
        events: Training events.
        actions: Training events by action.
        items: Items with a number or among the candidates.
        candidates: Items that may be recommended.
        cold_values: Feature values that are not indexed and count as missing.
        vectors: Items with a vector, by name.
    """

    users: int = 0
    test_users: int = 0
    events: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    items: int = 0
    candidates: int = 0
    cold_values: int = 0
    vectors: dict[str, int] = field(default_factory=dict)


def prepare_competition(
    source: str | Path,
    output: str | Path,
    *,
    vectors: tuple[str, ...] = ("81",),
    semantic_ids: SemanticIds | None = None,
    memory_limit: str = "2GB",
) -> Prepared:
    """Writes Parquet files and a dataset, split by leaving the last event of every user out.

    Items go by their creative id, users by their raw id. Feature values that are text were never indexed and count as
    missing; so do item numbers above those of training.

    Args:
        source: Directory with `seq.jsonl`, `indexer.pkl`, `item_feat_dict.json` and the rest.
        output: Directory to write; must not exist.
        vectors: Vectors of creatives to take over, by feature id; their width is read from the data.
        semantic_ids: Learns ids from the first of them, which become item features. Default: none.
        memory_limit: Memory for sorting; more goes to disk.

    Raises:
        DataError: Files are missing or damaged, or the output exists.
    """
    folder, target = Path(source), Path(output)
    for name in ("seq.jsonl", "indexer.pkl", "item_feat_dict.json"):
        if not (folder / name).is_file():
            raise DataError(f"`{name}` is missing.", file=str(source), remedy=_AGAIN)
    if target.exists():
        raise DataError("The directory exists.", file=str(output), remedy="Name another one, or remove it.")
    partial = target.with_name(f"{target.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    found = Prepared()
    indexer = load_pickle(folder / "indexer.pkl")
    with duckdb.connect(str(partial / "work.db"), config={"memory_limit": memory_limit}) as work:
        _register(work, "users", indexer["u"], pa.string())
        _register(work, "creatives", indexer["i"], pa.int64())
        _write_events(work, folder / "seq.jsonl", partial / EVENTS, partial / USERS, indexed=True)
        if (folder / "predict_seq.jsonl").is_file():
            test_users = partial / "predict_users.parquet"
            _write_events(work, folder / "predict_seq.jsonl", partial / PREDICT, test_users, indexed=False)
            found.test_users = pq.read_metadata(test_users).num_rows
        by_action = f"SELECT {ACTION}, count(*) FROM {_file(partial / EVENTS)} GROUP BY 1 ORDER BY 1"
        counts = work.execute(by_action).fetchall()
    (partial / "work.db").unlink()
    found.users = pq.read_metadata(partial / USERS).num_rows
    found.actions = {str(action): count for action, count in counts}
    found.events = sum(found.actions.values())
    _write_items(folder, partial, indexer["i"], found)
    store = {name: read_creative_vectors(folder, name) for name in vectors}
    items = partial / ITEMS
    if semantic_ids is not None and store:
        items = _with_semantic_ids(partial, semantic_ids, *next(iter(store.values())))
    options = ConversionOptions(
        input=(str(partial / EVENTS),),
        output=str(partial / DATASET),
        user_col="user_id",
        time_unit="s",
        split="leave_one_out",
        event_features=(ACTION,),
        items=(str(items),),
        cold_items="keep",
        missing_items="empty",
        unknown_items="keep",
        memory_limit=memory_limit,
    )
    convert(options)
    dataset = InteractionDataset.open(partial / DATASET)
    for name, (ids, matrix) in store.items():
        found.vectors[name] = write_item_vectors(dataset, name, ids.to_numpy(), matrix)
    (partial / "prepared.json").write_text(json.dumps(found.__dict__, indent=1) + "\n", encoding="utf-8")
    partial.rename(target)
    return found


def read_creative_vectors(source: str | Path, name: str) -> tuple[pa.Array, npt.NDArray[np.float32]]:
    """Returns raw creative ids int64 and vectors float32 `[creatives, dim]` of one family.

    They are read from the JSON shards in `creative_emb/emb_NAME_DIM/`, else from the pickle `emb_NAME_DIM.pkl`.

    Raises:
        DataError: There is neither, or vectors differ in width.
    """
    root = Path(source) / "creative_emb"
    shards = sorted(path for path in root.glob(f"emb_{name}_*/*") if path.suffix == ".json")
    pickles = sorted(root.glob(f"emb_{name}_*.pkl"))
    ids: list[int] = []
    parts: list[npt.NDArray[np.float32]] = []
    if shards:
        for shard in shards:
            query = "SELECT CAST(anonymous_cid AS BIGINT), emb FROM read_ndjson(?, columns = ?)"
            columns = {"anonymous_cid": "VARCHAR", "emb": "FLOAT[]"}
            table = duckdb.connect().execute(query, [str(shard), columns]).to_arrow_table()
            ids += table.column(0).to_pylist()
            parts.append(_matrix(table.column(1).combine_chunks(), shard))
    elif pickles:
        held = load_pickle(pickles[0])
        ids = [int(identity) for identity in held]
        parts = [np.asarray(vector, np.float32)[np.newaxis] for vector in held.values()]
    parts = [part for part in parts if len(part)]
    if not parts:
        raise DataError(f"There are no vectors `{name}`.", file=str(root), remedy=_AGAIN)
    if len({part.shape[1] for part in parts}) > 1:
        raise DataError(f"The vectors `{name}` differ in width.", file=str(root), remedy=_AGAIN)
    return pa.array(ids, pa.int64()), np.concatenate(parts)


def _matrix(lists: Any, file: Path) -> npt.NDArray[np.float32]:
    lists = pa.concat_arrays(lists.chunks) if isinstance(lists, pa.ChunkedArray) else lists
    widths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(widths) > 1 or None in widths:
        raise DataError("Vectors of one file differ in width, or are missing.", file=str(file), remedy=_AGAIN)
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(len(lists), max(widths, default=0))


def _register(work: duckdb.DuckDBPyConnection, name: str, numbers: dict[Any, int], kind: pa.DataType) -> None:
    """Makes a table (raw, number)."""
    raw = [str(key) for key in numbers] if kind == pa.string() else [int(key) for key in numbers]
    table = pa.table({"raw": pa.array(raw, kind), "number": pa.array(list(numbers.values()), pa.int64())})
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, f"{folder}/{name}.parquet")
        work.execute(f"CREATE TABLE {name} AS SELECT * FROM {_file(Path(folder) / f'{name}.parquet')}")


def _file(path: Path) -> str:
    """Returns the name of a file quoted for SQL."""
    return literal(str(path))


def _write_events(work: duckdb.DuckDBPyConnection, lines: Path, events: Path, users: Path, *, indexed: bool) -> None:
    """Writes the events of users, and their profiles; users of the test are named by their raw ids."""
    raw_user = "coalesce(users.raw, record->>0)" if indexed else "record->>0"
    join = "LEFT JOIN users ON users.number = TRY_CAST(record->>0 AS BIGINT)" if indexed else ""
    records = f"""
        WITH lines AS (SELECT row_number() OVER () AS line, json FROM read_ndjson_objects({_file(lines)})),
        records AS (
            SELECT line, unnest(json::JSON[]) AS record, generate_subscripts(json::JSON[], 1) AS place FROM lines
        )
        SELECT line, place, {raw_user} AS user_id, CAST(record->>1 AS BIGINT) AS number,
               CAST(record->>4 AS BIGINT) AS action, CAST(record->>5 AS BIGINT) AS time, record->2 AS profile
        FROM records {join}
    """
    try:
        work.execute(f"CREATE OR REPLACE TABLE records AS {records}")
        work.execute(
            f"COPY (SELECT user_id, creatives.raw AS item_id, time AS timestamp, coalesce(action, 0) AS {ACTION} "
            "FROM records LEFT JOIN creatives USING (number) WHERE number IS NOT NULL ORDER BY line, time, place) "
            f"TO {_file(events)} (FORMAT parquet)"
        )
        work.execute(
            "COPY (SELECT user_id, CAST(profile AS VARCHAR) AS profile FROM records WHERE number IS NULL "
            f"ORDER BY line) TO {_file(users)} (FORMAT parquet)"
        )
        [[unknown]] = work.execute(f"SELECT count(*) FROM {_file(events)} WHERE item_id IS NULL").fetchall()
    except duckdb.Error as error:
        raise DataError(f"No lines of records of six values: {error}", file=str(lines), remedy=_AGAIN) from error
    if indexed and unknown:
        raise DataError(
            f"{unknown} events are of items that `indexer.pkl` does not have.", file=str(lines), remedy=_AGAIN
        )


def _write_items(source: Path, partial: Path, numbers: dict[Any, int], found: Prepared) -> None:
    """Writes the features of all items, and the candidates."""
    features = json.loads((source / "item_feat_dict.json").read_text(encoding="utf-8"))
    known = {int(creative): features.get(str(number), {}) for creative, number in numbers.items()}
    path = source / "predict_set.jsonl"
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        for record in records:
            known.setdefault(int(record["creative_id"]), record.get("features", {}))
        columns = {"item_id": "creative_id", "retrieval_id": "retrieval_id"}
        table = {name: pa.array([int(record[key]) for record in records], pa.int64()) for name, key in columns.items()}
        pq.write_table(pa.table(table), partial / CANDIDATES)
        found.candidates = len(records)
    columns = {"item_id": pa.array(list(known), pa.int64())}
    for name in sorted({name for values in known.values() for name in values}, key=lambda name: (len(name), name)):
        column, cold = _column([values.get(name) for values in known.values()])
        columns[f"f{name}"] = column
        found.cold_values += cold
    pq.write_table(pa.table(columns), partial / ITEMS)
    found.items = len(known)


def _column(values: list[Any]) -> tuple[pa.Array, int]:
    """Returns a column of categories, lists or numbers, and how many values count as missing for being text."""
    if any(isinstance(value, list) for value in values):
        lists = [[] if value is None else [one for one in value if isinstance(one, int)] for value in values]
        return pa.array(lists, pa.list_(pa.int64())), 0
    cold = sum(isinstance(value, str) and not _NUMBER.fullmatch(value) for value in values)
    kept = [None if value is None or isinstance(value, str) else value for value in values]
    # A feature whose every value is whole is a category, 0 being none.
    if all(value is None or float(value).is_integer() for value in kept):
        return pa.array([None if not value else int(value) for value in kept], pa.int64()), cold
    return pa.array([None if value is None else float(value) for value in kept], pa.float64()), cold


def _with_semantic_ids(
    partial: Path, semantic_ids: SemanticIds, ids: pa.Array, matrix: npt.NDArray[np.float32]
) -> Path:
    """Returns a file of item features with the columns of semantic ids; items without a vector have none."""
    made = semantic_ids(ids, matrix, partial / "semantic_ids")
    path = partial / "items_with_ids.parquet"
    joined = f"{_file(partial / ITEMS)} AS items LEFT JOIN {_file(made)} AS made USING (item_id)"
    duckdb.connect().execute(
        f"COPY (SELECT items.*, made.* EXCLUDE (item_id) FROM {joined}) TO {_file(path)} (FORMAT parquet)"
    )
    return path
