"""Ready-made vectors of creatives: JSON, Parquet or pickled shards, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.errors import DataError

_ROWS_AT_ONCE = 1 << 16
_REMEDY = "Copy the file again, or leave this family of vectors out (--vectors)."

Vectors = npt.NDArray[np.float32]


class StoredVectors(NamedTuple):
    """Vectors of one family.

    Attributes:
        ids: Raw ids of creatives, int64 `[creatives]`.
        vectors: float32 `[creatives, dim]`, memory-mapped.
    """

    ids: npt.NDArray[np.int64]
    vectors: Vectors


def store_creative_vectors(source: str | Path, name: str, folder: Path) -> StoredVectors:
    """Gathers the shards of one family in a file of raw float32 numbers; no more than one shard is in memory.

    In the files of the competition shards lie in `creative_emb/emb_NAME_DIM/`: JSON lines (`anonymous_cid`, `emb`) or
    pickles of dictionaries by id; or there is one pickle `emb_NAME_DIM.pkl`. In the public copy they are
    `mm_emb/emb_NAME_DIM_parquet/*.parquet`. A creative whose vector is null has none.

    Args:
        source: Directory of the files.
        name: The family, for example `81`.
        folder: Where the file goes; it must stay as long as the vectors are used.

    Raises:
        DataError: There are no vectors, or a shard is damaged; an id is no integer or there twice, or vectors differ in
            width; with file and row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.f32"
    ids: list[npt.NDArray[np.int64]] = []
    width = 0
    shards = _shards(Path(source), name)
    with path.open("wb") as file:
        for shard, first_row, found, vectors in shards:
            width = width or vectors.shape[1]
            if vectors.shape[1] != width:
                problem = f"The vector has {vectors.shape[1]} numbers, others of `{name}` differ in width: {width}."
                raise DataError(problem, file=str(shard), row=first_row, remedy=_REMEDY)
            if not (finite := np.isfinite(vectors).all(axis=1)).all():
                row = first_row + int(np.argmin(finite))
                raise DataError("The vector holds NaN or infinity.", file=str(shard), row=row, remedy=_REMEDY)
            ids.append(found)
            vectors.tofile(file)
    if not ids:
        raise DataError(f"There are no vectors `{name}`.", file=str(source), remedy=_REMEDY)
    every = np.concatenate(ids)
    distinct, count = np.unique(every, return_counts=True)
    if len(distinct) < len(every):
        twice = int(distinct[np.argmax(count > 1)])
        raise DataError(f"The creative {twice} has several vectors `{name}`.", file=str(source), remedy=_REMEDY)
    return StoredVectors(every, np.memmap(path, np.float32, "r", shape=(len(every), width)))


Part = tuple[Path, int, npt.NDArray[np.int64], Vectors]
"""File, row of the first vector, ids and vectors `[rows, dim]`, at least one row."""


def vector_families(source: str | Path) -> list[str]:
    """Returns the names of all families of vectors that a directory has, by the names of their files."""
    names = {path.name for folder in ("creative_emb", "mm_emb") for path in (Path(source) / folder).glob("emb_*_*")}
    return sorted({name.split("_")[1] for name in names})


def check_families(source: str | Path, names: Iterable[str]) -> None:
    """Raises DataError, before long work, for a family that is not there."""
    known = vector_families(source)
    for name in (name for name in names if name not in known):
        remedy = f"Known: {', '.join(known)}." if known else "Leave them out: --vectors ''."
        raise DataError(f"There are no vectors `{name}`.", file=str(source), remedy=remedy)


def _shards(root: Path, name: str) -> Iterator[Part]:
    """Reads what there is: Parquet, JSON lines, else pickles."""
    parquet = sorted((root / "mm_emb").glob(f"emb_{name}_*/*.parquet"))
    held = sorted(path for path in (root / "creative_emb").glob(f"emb_{name}_*/*") if path.is_file())
    text = [path for path in held if path.suffix in (".json", ".jsonl", "")]
    pickles = [path for path in held if path.suffix == ".pkl"] or sorted(root.glob(f"creative_emb/emb_{name}_*.pkl"))
    if parquet:
        for path in parquet:
            yield from _of_parquet(path)
    elif text:
        for path in text:
            yield from _of_json(path)
    else:
        for path in pickles:
            yield from _of_pickle(path)


def _of_parquet(path: Path) -> Iterator[Part]:
    try:
        file = pq.ParquetFile(path)
        row = 1
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["anonymous_cid", "emb"]):
            table = pa.Table.from_batches([batch])
            if table.num_columns < 2:
                raise DataError("The columns `anonymous_cid` and `emb` are needed.", file=str(path), remedy=_REMEDY)
            yield from _of_columns(path, row, table.column("anonymous_cid"), table.column("emb"))
            row += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"Not a readable Parquet file ({error}).", file=str(path), remedy=_REMEDY) from error


def _of_json(path: Path) -> Iterator[Part]:
    columns = {"anonymous_cid": "VARCHAR", "emb": "FLOAT[]"}
    try:
        with duckdb.connect() as reader:
            query = "SELECT anonymous_cid, emb FROM read_ndjson(?, columns = ?)"
            table = reader.execute(query, [str(path), columns]).to_arrow_table()
            described = reader.execute("DESCRIBE SELECT * FROM read_ndjson(?)", [str(path)]).fetchall()
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise DataError(f"No lines of `anonymous_cid` and `emb`: {first}.", file=str(path), remedy=_REMEDY) from error
    keys = [name for name, *_ in described]
    if table.num_rows and not set(columns) <= set(keys):  # missing ones are read as null
        problem = f"Its lines have {', '.join(keys)}; `anonymous_cid` and `emb` are needed."
        raise DataError(problem, file=str(path), remedy=_REMEDY)
    if table.num_rows:
        yield from _of_columns(path, 1, table.column("anonymous_cid"), table.column("emb"))


def _of_pickle(path: Path) -> Iterator[Part]:
    held = load_pickle(path)
    if not isinstance(held, dict):
        raise DataError(f"It holds a {type(held).__name__}, no dictionary by id.", file=str(path), remedy=_REMEDY)
    entries = [(identity, vector) for identity, vector in held.items() if vector is not None]
    rows: list[Any] = []
    for number, (identity, vector) in enumerate(entries, start=1):
        row = np.asarray(vector)
        if row.ndim != 1 or not row.size or row.dtype.kind not in "fiu" or (rows and len(row) != len(rows[0])):
            problem = f"The vector of `{identity}` is none, or vectors differ in width."
            raise DataError(problem, file=str(path), row=number, remedy=_REMEDY)
        rows.append(row.astype(np.float32))
    if rows:
        ids = pa.array([str(identity) for identity, _ in entries])
        yield path, 1, _ids(path, 1, ids), np.stack(rows)


def _of_columns(path: Path, first_row: int, ids: Any, lists: Any) -> Iterator[Part]:
    """Vectors of columns of ids and lists; what is null is left out."""
    lists = lists.combine_chunks()
    lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
    kind = lists.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not listed or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise DataError(f"Its type is {kind}, no list of numbers.", file=str(path), column="emb", remedy=_REMEDY)
    widths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)  # [rows], NaN for null
    there = ~np.isnan(widths.astype(np.float64))
    if not there.any():
        return
    width = int(widths[there][0])
    odd = there & ((widths != width) | (widths == 0))
    flat = pc.list_flatten(lists)
    if odd.any() or flat.null_count:
        row = first_row + int(np.argmax(odd)) if odd.any() else None
        raise DataError(
            "Vectors of one file differ in width, are empty, or hold null.", file=str(path), row=row, remedy=_REMEDY
        )
    vectors = flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(int(there.sum()), width)
    numbers = _ids(path, first_row, ids.combine_chunks())
    yield path, first_row, numbers[there], np.ascontiguousarray(vectors)


def _ids(path: Path, first_row: int, ids: Any) -> npt.NDArray[np.int64]:
    ids = ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids
    texts = pc.utf8_trim_whitespace(ids.cast(pa.string()))
    good = pc.fill_null(pc.match_substring_regex(texts, "^-?[0-9]{1,18}$"), False).to_numpy(zero_copy_only=False)
    if not good.all():
        place = int(np.argmin(good))
        problem = f"`{texts[place].as_py()}` is no id of a creative: those are integers."
        raise DataError(problem, file=str(path), row=first_row + place, remedy=_REMEDY)
    return np.asarray(texts.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)
