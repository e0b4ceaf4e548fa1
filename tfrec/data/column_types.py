"""Columns by role, and the types their values have over all input files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.manifest import IdType
from tfrec.data.source_files import SourceFile, first_line
from tfrec.data.sql import identifier
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError, did_you_mean

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_SAMPLE_ROWS = 1000


@dataclass(frozen=True)
class Roles:
    """Columns by role; at least one of `user` and `session` is set."""

    user: str | None
    session: str | None
    item: str
    time: str

    @property
    def sequence(self) -> str | None:
        """The letter of the id that alone tells sequences apart; None with both a user and a session column."""
        if self.user is not None and self.session is not None:
            return None
        return "u" if self.user is not None else "s"

    def ids(self) -> dict[str, str]:
        """Column of each id role in use, keyed by its letter in the work tables: u, s, i."""
        columns = {"u": self.user, "s": self.session, "i": self.item}
        return {letter: column for letter, column in columns.items() if column is not None}


def find_roles(options: ConversionOptions, sources: list[SourceFile]) -> Roles:
    """Returns the columns by role, after checking that every file has them.

    Raises:
        DataError: A file lacks a column; the message names the closest one.
    """
    user, session = options.user_col, options.session_col
    if user is None and session is None:
        session = "session_id" if "session_id" in sources[0].columns else None
        user = "user_id" if session is None and "user_id" in sources[0].columns else None
        if user is None and session is None:
            raise DataError(
                "Neither `--user-col` nor `--session-col` is given, and there is no column `session_id` or `user_id`.",
                file=sources[0].path,
                remedy=did_you_mean("session_id", sources[0].columns),
            )
    if options.session_gap is not None and user is None:
        raise DataError("`--session-gap` needs `--user-col`.", file=sources[0].path, remedy="Name the user column.")

    for condition in options.conditions:
        for source in sources:
            if condition.column not in source.columns:
                raise DataError(
                    f"The column `{condition.column}` of `--where {condition.text}` does not exist.",
                    file=source.path,
                    remedy=did_you_mean(condition.column, source.columns),
                )

    def resolve(column: str, flag: str) -> str:
        for source in sources:
            if column not in source.columns:
                plain = column.rsplit(":", 1)[0]
                if column in source.headers and plain in source.columns:
                    return resolve(plain, flag)
                raise DataError(
                    f"The column `{column}` ({flag}) does not exist.",
                    file=source.path,
                    remedy=did_you_mean(column, source.columns),
                )
        return column

    return Roles(
        user=None if user is None else resolve(user, "--user-col"),
        session=None if session is None else resolve(session, "--session-col"),
        item=resolve(options.item_col, "--item-col"),
        time=resolve(options.time_col, "--time-col"),
    )


def id_type(work: WorkDatabase, sources: list[SourceFile], column: str) -> tuple[IdType, bool]:
    """Type of an id column over all files, and whether it was only guessed from the first rows of text files."""
    typed: dict[str, SourceFile] = {}
    for source in sources:
        kind = source.columns[column]
        if source.is_text:
            continue
        if kind in _INTEGERS:
            typed.setdefault("int64", source)
        elif kind in ("VARCHAR", "UUID") or kind.startswith("ENUM"):
            typed.setdefault("string", source)
        else:
            raise DataError(
                f"Ids must be integers or strings; the column is {kind}.",
                file=source.path,
                column=column,
                remedy="Cast it, for example to int64 (a float id column often hides nulls).",
            )
    if len(typed) == 2:
        raise DataError(
            f"Ids are strings here but integers in `{typed['int64'].path}`.",
            file=typed["string"].path,
            column=column,
            remedy="Write the column in one type.",
        )
    texts = [source for source in sources if source.is_text]
    if "string" in typed:
        return "string", False
    if not texts:
        return "int64", False
    name = identifier(column)
    for source in texts[:1]:
        sample = f"SELECT {name} AS x FROM {source.relation()} LIMIT {_SAMPLE_ROWS}"
        other = read_value(work, source, f"SELECT count(*) FROM ({sample}) WHERE {is_loose('x')}")
        if other and "int64" not in typed:
            return "string", False
    return "int64", "int64" not in typed


def is_loose(name: str) -> str:
    """SQL that is true for text that is not a canonical int64, such as `007`, `1.0`, ` 5` or `abc`."""
    return f"{name} IS NOT NULL AND CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) IS DISTINCT FROM {name}"


def time_kind(work: WorkDatabase, sources: list[SourceFile], column: str) -> Literal["BIGINT", "DOUBLE", "datetime"]:
    """Returns how times are held: BIGINT or DOUBLE for numbers, `datetime` for datetimes and ISO text.

    Raises:
        DataError: A type that is no time, or numbers in one file and datetimes in another.
    """
    kinds: dict[str, SourceFile] = {}
    for source in sources:
        declared = source.columns[column]
        if declared in _INTEGERS:
            kind = "BIGINT"
        elif declared in ("DOUBLE", "FLOAT") or declared.startswith("DECIMAL"):
            kind = "DOUBLE"
        elif declared.startswith(("TIMESTAMP", "DATE")):
            kind = "datetime"
        elif declared == "VARCHAR":
            name = identifier(column)
            sample = f"SELECT {name} AS x FROM {source.relation()} WHERE {name} IS NOT NULL LIMIT {_SAMPLE_ROWS}"
            parsed = read_value(work, source, f"SELECT 2 * count(TRY_CAST(x AS DOUBLE)) >= count(*) FROM ({sample})")
            kind = "DOUBLE" if parsed else "datetime"
        else:
            raise DataError(
                f"Times must be numbers, datetimes or ISO text; the column is {declared}.",
                file=source.path,
                column=column,
                remedy="Name another column with --time-col.",
            )
        kinds.setdefault(kind, source)
    if "datetime" in kinds and len(kinds) > 1:
        other = next(source for kind, source in kinds.items() if kind != "datetime")
        raise DataError(
            f"Times are datetimes here but numbers in `{other.path}`.",
            file=kinds["datetime"].path,
            column=column,
            remedy="Write the column in one type.",
        )
    if "datetime" in kinds:
        return "datetime"
    return "DOUBLE" if "DOUBLE" in kinds else "BIGINT"


def time_sql(source: SourceFile, column: str, kind: str) -> str:
    """Returns SQL for the time column of a file: a number in its own unit, or microseconds for datetimes."""
    name = identifier(column)
    declared = source.columns[column]
    if kind != "datetime":
        return f"TRY_CAST({name} AS {kind})"
    if declared == "VARCHAR":
        iso, hours = f"TRY_CAST({name} AS TIMESTAMPTZ)", f"try_strptime({name}, '%Y-%m-%d %H')"
        return f"coalesce(epoch_us({iso}), epoch_us({hours}))"
    return f"epoch_us(CAST({name} AS TIMESTAMP))" if declared == "DATE" else f"epoch_us({name})"


def read_value(work: WorkDatabase, source: SourceFile, sql: str) -> Any:
    """Runs a query that reads a file and returns its only value; a damaged file becomes a DataError."""
    try:
        return work.scalar(sql)
    except (
        duckdb.InvalidInputException,
        duckdb.ConversionException,
        duckdb.IOException,
        duckdb.HTTPException,
    ) as error:
        text = str(error)
        if "memory" in text.lower() or "no space" in text.lower():
            raise
        line = re.search(r"[Ll]ine:? (\d+)", text)
        row = None
        if line:
            row = int(line.group(1)) - (0 if source.format == "jsonl" else 1)
        raise DataError(
            f"The file cannot be read as {source.format} ({first_line(error).replace(source.location, source.path)}).",
            file=source.path,
            row=row,
            remedy="Correct the file, or name its format with --format.",
        ) from error
