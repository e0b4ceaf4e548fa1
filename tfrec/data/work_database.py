"""The on-disk database in which a conversion filters, joins and sorts, and which remembers what is done."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tfrec.errors import ConfigError, DataError

_DATABASE = "work.duckdb"
_LOCK = "lock"


class OutOfSpaceError(DataError):
    """Memory or disk ran out; the work done so far is kept."""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Context in which no other process may hold the same lock; released when the process ends, however it ends.

    Raises:
        DataError: Another process holds it.
    """
    with (directory / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                "Another conversion is writing here.", file=directory.parent, remedy="Wait for it to end."
            ) from error
        yield


class WorkDatabase:
    """A duckdb database in a directory of its own; larger than memory and resumable stage by stage.

    Args:
        directory: Directory for the database and what does not fit into memory; made when missing.
        memory_limit: For example `2GB`.

    Raises:
        ConfigError: duckdb does not accept the memory limit.
    """

    def __init__(self, directory: Path, memory_limit: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        settings = {
            "memory_limit": memory_limit,
            "temp_directory": str(directory / "spill"),
            "threads": len(os.sched_getaffinity(0)),
            "preserve_insertion_order": True,
        }
        try:
            self.connection = duckdb.connect(str(directory / _DATABASE), config=settings)
        except duckdb.InvalidInputException as error:
            raise ConfigError(f"The work database cannot be opened: {error}") from error
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("CREATE TABLE IF NOT EXISTS stages (name VARCHAR PRIMARY KEY, facts VARCHAR)")

    def close(self) -> None:
        """Closes the database."""
        self.connection.close()

    def run(self, sql: str) -> None:
        """Executes a statement."""
        self.connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Returns all rows of a query."""
        found: list[tuple[Any, ...]] = self.connection.execute(sql).fetchall()
        return found

    def row(self, sql: str) -> tuple[Any, ...]:
        """Returns the only row of a query."""
        return self.rows(sql)[0]

    def scalar(self, sql: str) -> Any:
        """Returns the only value of a query."""
        return self.row(sql)[0]

    def stream(self, sql: str, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a query as arrow batches; several streams may be open at once."""
        cursor = self.connection.cursor()
        try:
            yield from cursor.execute(sql).to_arrow_reader(batch_rows)
        finally:
            cursor.close()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """One step of the conversion, all or nothing: committed with its facts, or skipped when that happened earlier.

        Example:
            >>> with work.stage("load") as stage:  # doctest: +SKIP
            ...     if not stage.done:
            ...         work.run("CREATE TABLE ...")
            ...         stage.facts["rows"] = work.scalar("SELECT count(*) FROM ...")
        """
        found = self.connection.execute("SELECT facts FROM stages WHERE name = ?", [name]).fetchone()
        if found is not None:
            yield Stage(True, json.loads(found[0]))
            return
        self.connection.execute("BEGIN TRANSACTION")
        stage = Stage(False, {})
        try:
            yield stage
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.execute("INSERT INTO stages VALUES (?, ?)", [name, json.dumps(stage.facts)])
        self.connection.execute("COMMIT")


class Stage:
    """State of one stage: whether it was done before, and the facts it recorded (JSON values)."""

    def __init__(self, done: bool, facts: dict[str, Any]) -> None:
        self.done = done
        self.facts = facts
