"""From the files of the competition to a dataset: events, items, users with their profiles, test users, candidates."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.competition.creative_vectors import StoredVectors, check_families, store_creative_vectors
from tfrec.data.competition.indexer import INDEXER, load_indexer
from tfrec.data.competition.json_files import JsonFiles
from tfrec.data.competition.parquet_files import ParquetFiles
from tfrec.data.competition.side_columns import write_side_columns
from tfrec.data.conversion import convert
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.data.manifest_sources import name_sources
from tfrec.data.partial_output import PartialOutput
from tfrec.data.semantic_ids import HEALTH_FILE, IDS_FILE, attach_health
from tfrec.data.sql import literal
from tfrec.errors import DataError
from tfrec.files import write_json
from tfrec.version import __version__

EVENTS, PREDICT, USERS = "events.parquet", "predict.parquet", "users.parquet"
ITEMS, CANDIDATES, DATASET = "items.parquet", "candidates.parquet", "dataset"
ACTION = "action_type"
ITEM_PREFIX, USER_PREFIX = "f", "u"
_EVENTS = f"SELECT user_id, item_id, time AS timestamp, action AS {ACTION}"
# A user who has a profile and no events is to be answered, too: he has a row without item and time.
_TEST_EVENTS = f"""
    {_EVENTS} FROM (
        SELECT *, min(line) OVER (PARTITION BY user_id) AS user_line FROM (
            SELECT line, place, user_id, item_id, time, action FROM test_events UNION ALL
            SELECT min(line), 0, user_id, NULL, NULL, NULL FROM test_events_profiles
            ANTI JOIN test_events USING (user_id) GROUP BY user_id
        )
    ) ORDER BY user_line, user_id, time, line, place
"""

SemanticIds = Callable[[pa.Array, npt.NDArray[np.float32], Path], None]
"""Makes semantic ids of items from their raw ids and vectors: `IDS_FILE` and, last, `HEALTH_FILE` in a directory."""


@dataclass
class Prepared:
    """What was read.

    Attributes:
        users: Users with a training sequence.
        test_users: Users to predict for.
        profiles: Users with a profile, test users included.
        events: Training events.
        actions: Training events by action: 0 exposure, 1 click, 2 conversion.
        items: Items with a number or among the candidates.
        candidates: Items that may be recommended.
        cold_values: Feature values that are not indexed and count as missing.
        vectors: Items with a vector, by name.
    """

    users: int = 0
    test_users: int = 0
    profiles: int = 0
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
    test: str | Path | None = None,
    settings: str = "",
    resume: bool = False,
    memory_limit: str = "2GB",
) -> Prepared:
    """Writes Parquet files and a dataset, split by leaving the last event of every user out.

    Items go by their creative id, users by their raw id. Feature values that are text were never indexed and count as
    missing; so do item numbers of test users above those of training. Profiles are features of users, those of test
    users included.

    Args:
        source: Directory with `seq.jsonl`, `indexer.pkl`, `item_feat_dict.json` and the rest, or the public copy in
            Parquet: `seq`, `item_feat`, `user_feat`, `candidate`, `mm_emb` and `indexer.pkl`.
        output: Directory to write; must not exist.
        vectors: Vectors of creatives to take over, by feature id; their width is read from the data.
        semantic_ids: Learns ids from the first of them, which become item features. Default: none.
        test: Directory of `predict_seq.jsonl` and `predict_set.jsonl`. Default: they are looked for in `source`.
        settings: Text that tells settings of `semantic_ids` apart, so that no others go on.
        resume: Go on where an interrupted preparation of the same files stopped: behind the tables, behind the semantic
            ids, or within the conversion.
        memory_limit: Memory for sorting; more goes to disk.

    Raises:
        DataError: Files are missing or damaged, with file, row and what to do; or the output exists.
    """
    folder, target = Path(source), Path(output)
    if target.exists():
        raise DataError("The directory exists.", file=str(output), remedy="Name another one, or remove it.")
    if not folder.is_dir():
        raise DataError("There is no such directory.", file=str(source), remedy="Name the directory with the files.")
    if _is_public_copy(folder) or (folder / "seq.jsonl").is_file():  # else reading says that it is the wrong directory
        check_families(folder, vectors)
    tests = None if test is None else Path(test)
    whole = PartialOutput(_Output(str(target), resume=resume), _mark(folder, tests, target, vectors, settings))
    with whole.open() as (partial, _):
        found = _read_tables(folder, tests, partial, memory_limit)
        store = {name: store_creative_vectors(folder, name, partial / "work") for name in vectors}
        items = partial / ITEMS
        if semantic_ids is not None and store:
            items = _with_semantic_ids(partial, semantic_ids, next(iter(store.values())))
        if not (partial / DATASET).exists():
            convert(_dataset_options(partial, items, memory_limit, resume=resume))
        name_sources(partial / DATASET, partial, target)
        if not _is_public_copy(folder):  # whose numbers are not those of other files of test users
            shutil.copy(folder / INDEXER, partial / INDEXER)
        dataset = InteractionDataset.open(partial / DATASET)
        health = partial / "semantic_ids" / HEALTH_FILE
        if health.is_file():
            attach_health(partial / DATASET, health)
        for name, stored in store.items():
            found.vectors[name] = write_item_vectors(dataset, name, stored.ids, stored.vectors)
        write_json(partial / "prepared.json", found.__dict__)
        whole.finish()
    return found


@dataclass(frozen=True)
class _Output:
    """What `PartialOutput` must know."""

    output: str
    overwrite: bool = False
    resume: bool = False


def _mark(folder: Path, test: Path | None, output: Path, vectors: tuple[str, ...], settings: str) -> str:
    """Returns a text that is equal for preparations that may continue one another."""
    unfinished = output.resolve().with_name(f"{output.name}.partial")  # which may lie among the files
    own = {unfinished, unfinished.with_name(f"{unfinished.name}.fingerprint")}
    found = [path for root in (folder, test) if root is not None for path in root.resolve().rglob("*")]
    files = sorted(path for path in found if path.is_file() and own.isdisjoint((path, *path.parents)))
    stamps = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return json.dumps([__version__, list(vectors), settings, stamps])


def _read_tables(folder: Path, test: Path | None, partial: Path, memory_limit: str) -> Prepared:
    """Writes the Parquet files, unless that was done; returns what was counted."""
    done = partial / "work" / "tables.json"
    if done.is_file():
        return Prepared(**json.loads(done.read_text(encoding="utf-8")))
    database = partial / "work" / "work.db"
    for path in database.parent.glob(f"{database.name}*"):  # of a preparation that was interrupted
        path.unlink() if path.is_file() else shutil.rmtree(path)
    found = Prepared()
    with duckdb.connect(str(database), config={"memory_limit": memory_limit}) as work:
        files = _files(folder, work, test)
        load_indexer(work, folder)
        files.load_events()
        files.load_items()
        _write_tables(work, files, folder, partial, found)
    write_json(done, found.__dict__)
    return found


def _dataset_options(partial: Path, items: Path, memory_limit: str, *, resume: bool) -> ConversionOptions:
    profiled = len(pq.read_schema(partial / USERS).names) > 1
    return ConversionOptions(
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
        users=(str(partial / USERS),) if profiled else (),
        cold_users="keep" if profiled else "drop",
        resume=resume,
        memory_limit=memory_limit,
    )


def prepare_test(source: str | Path, indexer: str | Path, output: Path) -> None:
    """Writes the events of test users and the candidates alone, for a model that is already trained.

    Args:
        source: Directory of `predict_seq.jsonl` and `predict_set.jsonl`.
        indexer: Directory of `indexer.pkl`.
        output: Directory for `predict.parquet` and `candidates.parquet`.

    Raises:
        DataError: As of `prepare_competition`; or these are data of the public copy, whose numbers are others.
    """
    if not (Path(indexer) / INDEXER).is_file():
        raise DataError(
            f"There is no `{INDEXER}`: data of the public copy number users and items in their own way.",
            file=str(indexer),
            remedy="Name what was prepared from the files of the challenge.",
        )
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect(f"{scratch}/work.db") as work:
        load_indexer(work, Path(indexer))
        files = JsonFiles(Path(source), work, Path(source), only_test=True)
        files.load_test_events()
        files.load_candidates()
        _write_test(work, files, output)


def _is_public_copy(folder: Path) -> bool:
    return (folder / "seq").is_dir()


def _files(folder: Path, work: duckdb.DuckDBPyConnection, test: Path | None) -> JsonFiles | ParquetFiles:
    if not _is_public_copy(folder):
        return JsonFiles(folder, work, test)
    if test is not None:
        raise DataError(
            "The public copy numbers users and items in its own way.", file=str(test), remedy="Leave out --test-from."
        )
    return ParquetFiles(folder, work)


def _write_test(work: duckdb.DuckDBPyConnection, files: JsonFiles | ParquetFiles, folder: Path) -> tuple[int, int]:
    """Writes what there is of test users and candidates; returns the numbers of users and candidates."""
    users = candidates = 0
    if files.has_test_users:
        _write(work, _TEST_EVENTS, folder / PREDICT)
        [[users]] = work.execute(f"SELECT count(DISTINCT user_id) FROM {literal(str(folder / PREDICT))}").fetchall()
    if files.has_candidates:
        candidates = _write(work, "SELECT item_id, retrieval_id FROM candidates", folder / CANDIDATES)
    return users, candidates


def _write(work: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Writes the result of a query; returns its rows."""
    work.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet)")
    return int(pq.read_metadata(path).num_rows)


def _write_tables(
    work: duckdb.DuckDBPyConnection, files: JsonFiles | ParquetFiles, folder: Path, partial: Path, found: Prepared
) -> None:
    """Writes the Parquet files of what was loaded, and counts it."""
    found.events = _write(work, f"{_EVENTS} FROM events ORDER BY line, time, place", partial / EVENTS)
    if not found.events:
        raise DataError("There are no events.", file=str(folder), remedy="Check that the files are whole.")
    found.test_users, found.candidates = _write_test(work, files, partial)
    [[found.users]] = work.execute("SELECT count(DISTINCT user_id) FROM events").fetchall()
    counted = work.execute("SELECT action, count(*) FROM events GROUP BY 1 ORDER BY 1").fetchall()
    found.actions = {str(action): count for action, count in counted}
    found.cold_values = write_side_columns(work, "item_features", "item_id", partial / ITEMS, ITEM_PREFIX, folder)
    found.cold_values += write_side_columns(work, "profiles", "user_id", partial / USERS, USER_PREFIX, folder)
    found.items, found.profiles = (pq.read_metadata(partial / name).num_rows for name in (ITEMS, USERS))


def _with_semantic_ids(partial: Path, semantic_ids: SemanticIds, vectors: StoredVectors) -> Path:
    """Returns a file of item features with the columns of semantic ids; items without a vector have none.

    What an interrupted preparation has made of both is kept.
    """
    path, learned = partial / "items_with_ids.parquet", partial / "semantic_ids"
    if path.exists():
        return path
    if not (learned / HEALTH_FILE).is_file():
        shutil.rmtree(learned, ignore_errors=True)
        semantic_ids(pa.array(vectors.ids), vectors.vectors, learned)
    temporary = path.with_suffix(".tmp")
    made = literal(str(learned / IDS_FILE))
    joined = f"{literal(str(partial / ITEMS))} AS items LEFT JOIN {made} AS made USING (item_id)"
    chosen = f"SELECT items.*, made.* EXCLUDE (item_id) FROM {joined}"
    with duckdb.connect() as work:
        work.execute(f"COPY ({chosen}) TO {literal(str(temporary))} (FORMAT parquet)")
    temporary.rename(path)
    return path
