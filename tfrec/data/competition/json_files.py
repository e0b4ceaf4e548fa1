"""The files of the competition: sequences and candidates as JSON lines, features of items as one JSON object."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tfrec.data.competition.flat_json import object_entries
from tfrec.data.competition.sequence_lines import load_offsets, offsets_path
from tfrec.data.sql import literal
from tfrec.errors import DataError

SEQUENCES, FEATURES, PREDICT, CANDIDATES = (
    "seq.jsonl",
    "item_feat_dict.json",
    "predict_seq.jsonl",
    "predict_set.jsonl",
)
_REMEDY = "Correct or remove the line, or copy the file again."
_LONGEST_LINE = 1 << 26
LATEST = 253_402_300_799
"""The last second of the year 9999: what is later are no seconds."""


class JsonFiles:
    """Reads the files into tables of a database, each checked.

    Args:
        folder: Directory of the files.
        work: The database, with `users` and `creatives` of `load_indexer`.
        test: Directory of the test users and candidates. Default: `folder`.
        only_test: Whether the files of training may be missing.
    """

    def __init__(
        self, folder: Path, work: duckdb.DuckDBPyConnection, test: Path | None = None, *, only_test: bool = False
    ) -> None:
        self.folder, self.work, self.test = folder, work, test or folder
        self.has_test_users = (self.test / PREDICT).is_file()
        self.has_candidates = (self.test / CANDIDATES).is_file()
        for name in (PREDICT, CANDIDATES) if test is not None else ():
            if not (self.test / name).is_file():
                raise DataError(f"`{name}` is missing.", file=str(test), remedy="Name the directory of the test users.")
        for name in () if only_test else (SEQUENCES, FEATURES):
            if not (folder / name).is_file():
                raise DataError(
                    f"`{name}` is missing.", file=str(folder), remedy="Name the whole directory of the competition."
                )

    def load_events(self) -> None:
        """Makes `events` and, with test users, `test_events` (line, place, user_id, item_id, number, time, action).

        And `profiles` (user_id, features), one row per user with a profile; test users are named by raw ids.

        Raises:
            DataError: A line is no list of records of six values, or an event is of an item without a raw id.
        """
        self._load_records(self.folder / SEQUENCES, "events", "coalesce(users.raw, (record->>0))")
        [[line]] = self.work.execute("SELECT min(line) FROM events WHERE item_id IS NULL").fetchall()
        if line is not None:
            [[number]] = self.work.execute(
                "SELECT min(number) FROM events WHERE item_id IS NULL AND line = ?", [line]
            ).fetchall()
            raise DataError(
                f"An event is of the item {number}, which `indexer.pkl` does not have.",
                file=str(self.folder / SEQUENCES),
                row=line,
                remedy="Take all files from one release.",
            )
        parts = ["SELECT user_id, line, profile FROM events_profiles"]
        if self.has_test_users:
            self.load_test_events()
            parts.append(
                "SELECT user_id, line, profile FROM test_events_profiles ANTI JOIN events_profiles USING (user_id)"
            )
        self.work.execute(
            "CREATE TABLE profiles AS SELECT user_id, CAST(arg_min(profile, line) AS JSON) AS features FROM "
            f"({' UNION ALL '.join(parts)}) WHERE profile IS NOT NULL GROUP BY user_id"
        )

    def load_items(self) -> None:
        """Makes `item_features` (item_id, features): items of the index, then candidates that are not among them.

        And, with candidates, `candidates` (item_id, retrieval_id).

        Raises:
            DataError: A file is damaged, a candidate lacks an id, or features are of no number of the index.
        """
        with tempfile.TemporaryDirectory() as scratch:
            for number, table in enumerate(object_entries(self.folder / FEATURES)):
                pq.write_table(table, f"{scratch}/{number:05d}.parquet")
            self._check_keys(f"{scratch}/*.parquet")
            self.work.execute(
                "CREATE TABLE item_features AS SELECT creatives.raw AS item_id, CAST(value AS JSON) AS features FROM "
                f"creatives LEFT JOIN {literal(f'{scratch}/*.parquet')} AS features ON "
                "TRY_CAST(key AS BIGINT) = creatives.number"
            )
        if self.has_candidates:
            self.load_candidates()
            self.work.execute(
                "INSERT INTO item_features SELECT creative_id, arg_min(features, line) FROM known "
                "ANTI JOIN item_features ON creative_id = item_id GROUP BY creative_id ORDER BY min(line)"
            )

    def load_test_events(self) -> None:
        """Makes `test_events`, as `load_events`; items without a raw id have null."""
        self._load_records(self.test / PREDICT, "test_events", "(record->>0)")

    def load_candidates(self) -> None:
        """Makes `candidates` (item_id, retrieval_id), and `known`, which has their features besides.

        Raises:
            DataError: A line is no JSON object, or a candidate lacks an id.
        """
        path = self.test / CANDIDATES
        lines, _ = self._lines(path, "OBJECT")
        chosen = ", ".join(f"TRY_CAST(text->>'{name}' AS BIGINT) AS {name}" for name in ("creative_id", "retrieval_id"))
        self.work.execute(
            f"CREATE TABLE known AS SELECT line, {chosen}, text->'features' AS features FROM ({lines}) ORDER BY line"
        )
        [[line]] = self.work.execute(
            "SELECT min(line) FROM known WHERE creative_id IS NULL OR coalesce(retrieval_id, -1) < 0"
        ).fetchall()
        if line is not None:
            problem = "A candidate needs a whole `creative_id` and a `retrieval_id` of at least 0."
            raise DataError(problem, file=str(path), row=line, remedy=_REMEDY)
        strange = "SELECT min(line) FROM known WHERE json_type(features) NOT IN ('OBJECT', 'NULL')"
        [[line]] = self.work.execute(strange).fetchall()
        if line is not None:
            raise DataError("The `features` are no JSON object.", file=str(path), row=line, remedy=_REMEDY)
        self.work.execute(
            "CREATE TABLE candidates AS SELECT creative_id AS item_id, retrieval_id FROM known ORDER BY line"
        )

    def _check_keys(self, entries: str) -> None:
        """Raises a DataError where the keys of features are not numbers of items, each once."""
        keys = f"SELECT key, TRY_CAST(key AS BIGINT) AS number FROM {literal(entries)}"
        count, known, strange, twice = self.work.execute(
            f"SELECT count(*), count(creatives.number), min(key) FILTER (keys.number IS NULL), "
            f"min(key) FILTER (times > 1) FROM (SELECT *, count(*) OVER (PARTITION BY number) AS times FROM ({keys})) "
            "AS keys LEFT JOIN creatives USING (number)"
        ).fetchall()[0]
        problem = None
        if strange is not None:
            problem = f"`{strange}` is no number of an item."
        elif twice is not None:
            problem = f"The item `{twice}` has features twice."
        elif count and not known:
            problem = "`indexer.pkl` has none of its items."
        if problem is not None:
            raise DataError(problem, file=str(self.folder / FEATURES), remedy="Take all files from one release.")

    def _load_records(self, path: Path, name: str, user: str) -> None:
        """Makes the tables `name`, of events, and `name_profiles`."""
        join = "LEFT JOIN users ON users.number = TRY_CAST((record->>0) AS BIGINT)"
        lines, count = self._lines(path, "ARRAY")
        if offsets_path(path).is_file():
            load_offsets(path, lines=count)
        self.work.execute(
            f"""
            CREATE TABLE records AS
            SELECT line, place, {user} AS user_id, TRY_CAST((record->>1) AS BIGINT) AS item,
                   TRY_CAST((record->>4) AS BIGINT) AS action, TRY_CAST((record->>5) AS BIGINT) AS time,
                   CASE WHEN json_type((record->2)) = 'OBJECT' THEN CAST((record->2) AS VARCHAR) END AS profile,
                   (record->>1) IS NOT NULL AS event,
                   coalesce(json_array_length(record), 0) = 6 AND (record->>0) IS NOT NULL AND (
                       (record->>1) IS NULL OR (item IS NOT NULL AND coalesce(time, -1) BETWEEN 0 AND {LATEST}
                       AND ((record->>4) IS NULL OR action IS NOT NULL))
                   ) AS whole
            FROM (
                SELECT line, unnest(CAST(text AS JSON[])) AS record,
                       generate_subscripts(CAST(text AS JSON[]), 1) AS place
                FROM ({lines})
            ) {join if name == "events" else ""}
            """
        )
        bad = self.work.execute(
            "SELECT line, place FROM records WHERE NOT whole ORDER BY line, place LIMIT 1"
        ).fetchall()
        if bad:
            [[line, place]] = bad
            raise DataError(
                f"Record {place} is not of six values: user, item, user features, item features, action, time; those "
                "of an event whole numbers, the time in seconds since 1970.",
                file=str(path),
                row=line,
                remedy=_REMEDY,
            )
        self.work.execute(
            f"CREATE TABLE {name} AS SELECT line, place, user_id, creatives.raw AS item_id, item AS number, time, "
            "coalesce(action, 0) AS action FROM records LEFT JOIN creatives ON creatives.number = item WHERE event"
        )
        self.work.execute(f"CREATE TABLE {name}_profiles AS SELECT line, user_id, profile FROM records WHERE NOT event")
        self.work.execute("DROP TABLE records")

    def _lines(self, path: Path, kind: str) -> tuple[str, int]:
        """Returns SQL for the lines of a file (line, text), each checked to be filled JSON of a kind; their number."""
        lines = (
            f"SELECT row_number() OVER () AS line, text FROM read_csv({literal(str(path))}, columns = {{'text': "
            "'VARCHAR'}, header = false, auto_detect = false, delim = '\x01', quote = '', escape = '', "
            f"max_line_size = {_LONGEST_LINE}, strict_mode = false)"
        )
        filled = " AND json_array_length(text) > 0" if kind == "ARRAY" else ""
        good = f"CASE WHEN json_valid(text) THEN json_type(text) = '{kind}'{filled} ELSE false END"
        try:
            [[line, count]] = self.work.execute(
                f"SELECT min(line) FILTER (NOT {good}), count(*) FROM ({lines})"
            ).fetchall()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise DataError(f"The file cannot be read: {first}.", file=str(path), remedy=_REMEDY) from error
        if line is not None:
            what = "object" if kind == "OBJECT" else "array of records"
            raise DataError(f"Not a JSON {what}.", file=str(path), row=line, remedy=_REMEDY)
        return lines, count
