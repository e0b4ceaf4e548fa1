"""The public copy of the competition's data: Parquet files of sequences, features of items and users, candidates."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tfrec.data.competition.json_files import LATEST
from tfrec.data.sql import identifier, literal
from tfrec.errors import DataError

SEQUENCES, ITEMS, USERS, CANDIDATES = "seq", "item_feat", "user_feat", "candidate"
_EVENT = ("item_id", "action_type", "timestamp")
_REMEDY = "Copy the file again, or name the directory of the public copy (seq, item_feat, user_feat, indexer.pkl)."


class ParquetFiles:
    """Reads the directories `seq`, `item_feat`, `user_feat` and `candidate` into the tables of `JsonFiles`.

    Sequences, `item_feat` and `user_feat` hold the numbers of `indexer.pkl`; candidates and vectors raw ids of
    creatives. Features are columns named by their id. There are no test users.

    Args:
        folder: Directory of the copy.
        work: The database, with `users` and `creatives` of `load_indexer`.
    """

    has_test_users = False

    def __init__(self, folder: Path, work: duckdb.DuckDBPyConnection) -> None:
        self.folder, self.work = folder, work
        self.has_candidates = any((folder / CANDIDATES).glob("*.parquet"))

    def load_events(self) -> None:
        """Makes `events` (line, place, user_id, item_id, number, time, action) and `profiles` (user_id, features).

        Raises:
            DataError: A column is missing, or a user or item is not in the index; with file and row.
        """
        source, columns = self._source(SEQUENCES, ("user_id", "seq"))
        if columns["seq"].endswith("[]"):  # a list of structs
            entry = "unnest(seq) AS event, generate_subscripts(seq, 1) AS place"
            fields = {name: f"event.{name}" for name in _EVENT}
        else:  # a struct of lists
            entry = ", ".join(f"unnest(seq.{name}) AS {name}" for name in _EVENT)
            entry += ", generate_subscripts(seq.item_id, 1) AS place"
            fields = {name: name for name in _EVENT}
        if any(name not in columns["seq"] for name in _EVENT):
            raise DataError(
                f"`seq` is {columns['seq']}, without {', '.join(_EVENT)}.",
                file=str(self.folder / SEQUENCES),
                column="seq",
                remedy=_REMEDY,
            )
        self.work.execute(
            f"""
            CREATE TABLE events AS
            SELECT line, place, file, row, entries.user_id AS number_of_user, users.raw AS user_id,
                   creatives.raw AS item_id, {fields["item_id"]} AS number, {fields["timestamp"]} AS time,
                   coalesce({fields["action_type"]}, 0) AS action
            FROM (SELECT line, file, row, user_id, {entry} FROM ({source})) AS entries
            LEFT JOIN users ON users.number = entries.user_id
            LEFT JOIN creatives ON creatives.number = {fields["item_id"]}
            """
        )
        for noun, column, number in (("A user", "user_id", "number_of_user"), ("An item", "item_id", "number")):
            self._check("events", f"{column} IS NULL", f"{noun} is of the number", number, "indexer.pkl does not have")
        late = f"coalesce(time, -1) NOT BETWEEN 0 AND {LATEST}"
        self._check("events", late, "An event is of the time", "time", "is no time in seconds since 1970")
        self.work.execute("CREATE TABLE profiles (user_id VARCHAR, features JSON)")
        if any((self.folder / USERS).glob("*.parquet")):
            self._load_features(USERS, "user_id", "users", "found_profiles")
            self.work.execute("INSERT INTO profiles SELECT id, features FROM found_profiles ORDER BY line")

    def load_items(self) -> None:
        """Makes `item_features` (item_id, features) and, with candidates, `candidates` (item_id, retrieval_id).

        Raises:
            DataError: A column is missing, an id is, or an item stands there twice; with file and row.
        """
        self._load_features(ITEMS, "item_id", "creatives", "found_items")
        self.work.execute(
            "CREATE TABLE item_features AS SELECT raw AS item_id, features FROM creatives LEFT JOIN found_items ON "
            "found_items.id = creatives.raw ORDER BY creatives.number"
        )
        if not self.has_candidates:
            return
        source, columns = self._source(CANDIDATES, ("item_id", "retrieval_id"))
        features = _features(columns, ("item_id", "retrieval_id"))
        self.work.execute(
            "CREATE TABLE known AS SELECT line, file, row, TRY_CAST(item_id AS BIGINT) AS item_id, "
            f"TRY_CAST(retrieval_id AS BIGINT) AS retrieval_id, {features} AS features FROM ({source})"
        )
        self._check("known", "item_id IS NULL", "A candidate has the id", "item_id", "is no whole number")
        self._check("known", "coalesce(retrieval_id, -1) < 0", "A `retrieval_id` is", "retrieval_id", "is below 0")
        self.work.execute("CREATE TABLE candidates AS SELECT item_id, retrieval_id FROM known ORDER BY line")
        self.work.execute(
            "INSERT INTO item_features SELECT item_id, arg_min(features, line) FROM known ANTI JOIN item_features "
            "USING (item_id) GROUP BY item_id ORDER BY min(line)"
        )

    def _load_features(self, name: str, column: str, index: str, table: str) -> None:
        """Makes a table (line, file, row, id, features) of files whose rows are named by a number of the index."""
        source, columns = self._source(name, (column,))
        features = _features(columns, (column,))
        self.work.execute(
            f"CREATE TABLE {table} AS SELECT line, file, row, found.{column} AS number, {index}.raw AS id, features "
            f"FROM (SELECT line, file, row, {column}, {features} AS features FROM ({source})) AS found "
            f"LEFT JOIN {index} ON {index}.number = found.{column}"
        )
        self._check(table, "id IS NULL", f"`{column}` is", "number", "indexer.pkl does not have")
        again = f"line IN (SELECT max(line) FROM {table} GROUP BY id HAVING count(*) > 1)"
        self._check(table, again, f"`{column}` is", "number", "has a row already")

    def _source(self, name: str, needed: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        """Returns SQL for the rows of a directory, with `line`, `file` and `row`, and the types of its columns."""
        files = sorted((self.folder / name).glob("*.parquet"))
        if not files:
            raise DataError(f"`{name}` holds no Parquet files.", file=str(self.folder), remedy=_REMEDY)
        first: dict[str, str] = {}
        for path in files:
            try:
                described = self.work.execute(f"DESCRIBE SELECT * FROM {literal(str(path))}").fetchall()
            except duckdb.Error as error:
                raise DataError(f"Not a readable Parquet file ({error}).", file=str(path), remedy=_REMEDY) from error
            columns = {row[0]: row[1] for row in described}
            for column in (*needed, *first):
                if column not in columns:
                    raise DataError("The column is missing.", file=str(path), column=column, remedy=_REMEDY)
            first = first or columns
        listed = ", ".join(literal(str(path)) for path in files)
        rows = f"read_parquet([{listed}], filename = 'file', file_row_number = true)"
        line = "row_number() OVER (ORDER BY file, file_row_number) AS line"
        return f"SELECT *, {line}, file_row_number + 1 AS row FROM {rows}", first

    def _check(self, table: str, bad: str, what: str, value: str, rule: str) -> None:
        """Raises a DataError for the first bad row."""
        found = self.work.execute(
            f"SELECT file, row, {value} FROM {table} WHERE {bad} ORDER BY line LIMIT 1"
        ).fetchall()
        if found:
            [[file, row, shown]] = found
            sentence = f"{what} `{shown}`, which {rule}."
            raise DataError(sentence, file=file, row=row, remedy="Take all files from one release.")


def _features(columns: dict[str, str], others: tuple[str, ...]) -> str:
    """Returns SQL for a JSON object of all columns but some; values may be wrapped as `{feature_value: ...}`."""
    packed = []
    for name, kind in columns.items():
        if name not in others:
            wrapped = kind.startswith("STRUCT") and "feature_value" in kind
            value = f"{identifier(name)}.feature_value" if wrapped else identifier(name)
            packed.append(f"{identifier(name)} := {value}")
    return f"CAST(to_json(struct_pack({', '.join(packed)})) AS JSON)" if packed else "CAST('{}' AS JSON)"
