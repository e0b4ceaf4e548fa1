"""First stage of a conversion: all input files into one table of checked events."""

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
# Largest value that a unit can explain: 1e11 s is the year 5138, 1e11 ms is March 1973.
_UNIT_LIMITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", float("inf")))
_LATEST_MS = 253_402_300_800_000  # the year 10000
_PER_MILLISECOND = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}


@dataclass(frozen=True)
class Roles:
    """Columns by role; at least one of `user` and `session` is set."""

    user: str | None
    session: str | None
    item: str
    time: str

    def ids(self) -> dict[str, str]:
        """Column of each id role in use, keyed by its letter in the work tables: u, s, i."""
        columns = {"u": self.user, "s": self.session, "i": self.item}
        return {letter: column for letter, column in columns.items() if column is not None}


@dataclass(frozen=True)
class LoadedEvents:
    """What loading found out.

    Attributes:
        roles: Columns by role.
        id_types: `int64` or `string` for each letter of `Roles.ids`.
        milliseconds: SQL for `events.t` in milliseconds since the epoch (BIGINT).
        time_unit: Unit of `events.t`: s, ms, us or ns.
        time_unit_reason: Why that unit.
        rows: Rows of each source, in order.
    """

    roles: Roles
    id_types: dict[str, IdType]
    milliseconds: str
    time_unit: str
    time_unit_reason: str
    rows: list[int]


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


def load_events(work: WorkDatabase, sources: list[SourceFile], roles: Roles, time_unit: str) -> LoadedEvents:
    """Reads all files into the view `events` and checks every value.

    `events` has the columns `pos` (position in the input: file and row order), `u`, `s`, `i` (ids; those without a
    column are absent) and `t` (time in `LoadedEvents.time_unit`), all BIGINT but `t`, which may be DOUBLE. Int64 ids
    stay as they are. String ids are replaced by codes in byte order, and the tables `ids_u`, `ids_s`, `ids_i` (code,
    id) hold the strings. Ids in text files are int64 when every one is a canonical integer, else strings.

    Args:
        work: The work database.
        sources: Input files.
        roles: Columns by role.
        time_unit: Unit of numeric times, or `auto`.

    Returns:
        What was found out.

    Raises:
        DataError: A wrong type, a null id, a null, NaN, negative, infinite or unparseable time, a damaged file, a file
            without rows; with file, column, row and value.
    """
    with work.stage("read") as stage:
        if not stage.done:
            guesses = {letter: _id_type(work, sources, column) for letter, column in roles.ids().items()}
            time_kind = _time_kind(work, sources, roles.time)
            rows = _insert(work, sources, roles, guesses, time_kind)
            if wrong := _wrongly_guessed(work, guesses):
                guesses.update(dict.fromkeys(wrong, ("string", False)))
                rows = _insert(work, sources, roles, guesses, time_kind)
            stage.facts.update(rows=rows, time_kind=time_kind)
            stage.facts["id_types"] = {letter: kind for letter, (kind, _) in guesses.items()}
        rows, time_kind, id_types = stage.facts["rows"], stage.facts["time_kind"], stage.facts["id_types"]
    with work.stage("check") as stage:
        if not stage.done:
            _check_ids(work, sources, rows, roles)
            unit, reason = _check_times(work, time_unit, sources, rows, roles, time_kind)
            stage.facts.update(unit=unit, reason=reason)
            _encode_strings(work, id_types)
        unit, reason = stage.facts["unit"], stage.facts["reason"]
    return LoadedEvents(roles, id_types, _milliseconds(unit, time_kind), unit, reason, rows)


def _wrongly_guessed(work: WorkDatabase, guesses: dict[str, tuple[IdType, bool]]) -> list[str]:
    """Id columns of text files that were taken for integers but are not, by the whole of their values."""
    guessed = [letter for letter, (_, guess) in guesses.items() if guess]
    if not guessed:
        return []
    counts = work.row("SELECT " + ", ".join(f"count(*) FILTER (loose_{letter})" for letter in guessed) + " FROM loaded")
    return [letter for letter, count in zip(guessed, counts, strict=True) if count]


def _id_type(work: WorkDatabase, sources: list[SourceFile], column: str) -> tuple[IdType, bool]:
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
        loose = _read(work, source, f"SELECT count(*) FROM ({sample}) WHERE {_loose('x')}")
        if loose and "int64" not in typed:
            return "string", False
    return "int64", "int64" not in typed


def _loose(name: str) -> str:
    """SQL that is true for text that is not a canonical int64, such as `007`, `1.0`, ` 5` or `abc`."""
    return f"{name} IS NOT NULL AND CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) IS DISTINCT FROM {name}"


def _time_kind(work: WorkDatabase, sources: list[SourceFile], column: str) -> Literal["BIGINT", "DOUBLE", "datetime"]:
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
            parsed = _read(work, source, f"SELECT 2 * count(TRY_CAST(x AS DOUBLE)) >= count(*) FROM ({sample})")
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


def _time_sql(source: SourceFile, column: str, kind: str) -> str:
    name = identifier(column)
    declared = source.columns[column]
    if kind != "datetime":
        return f"TRY_CAST({name} AS {kind})"
    if declared == "VARCHAR":
        iso, hours = f"TRY_CAST({name} AS TIMESTAMPTZ)", f"try_strptime({name}, '%Y-%m-%d %H')"
        return f"coalesce(epoch_us({iso}), epoch_us({hours}))"
    return f"epoch_us(CAST({name} AS TIMESTAMP))" if declared == "DATE" else f"epoch_us({name})"


def _insert(
    work: WorkDatabase,
    sources: list[SourceFile],
    roles: Roles,
    id_types: dict[str, tuple[IdType, bool]],
    time_kind: str,
) -> list[int]:
    columns = []
    for letter, (kind, guessed) in id_types.items():
        columns.append(f"{letter} {'BIGINT' if kind == 'int64' else 'VARCHAR'}")
        if guessed:
            columns.append(f"loose_{letter} BOOLEAN")
    columns.append("t DOUBLE" if time_kind == "DOUBLE" else "t BIGINT")
    work.run(f"CREATE OR REPLACE TABLE loaded ({', '.join(columns)})")
    rows: list[int] = []
    for source in sources:
        expressions = []
        for letter, column in roles.ids().items():
            kind, guessed = id_types[letter]
            name = identifier(column)
            if kind == "int64":
                expressions.append(f"TRY_CAST({name} AS BIGINT)")
            else:
                expressions.append(f"nullif(CAST({name} AS VARCHAR), '')")
            if guessed:
                expressions.append(_loose(name))
        expressions.append(_time_sql(source, roles.time, time_kind))
        count = _read(work, source, f"INSERT INTO loaded SELECT {', '.join(expressions)} FROM {source.relation()}")
        if count == 0 and source.named:
            raise DataError("The file has no data rows.", file=source.path, remedy="Remove it from the input.")
        rows.append(int(count))
    if not sum(rows):
        raise DataError("No data rows in any input file.", file=sources[0].path, remedy="Check the input.")
    return rows


def _read(work: WorkDatabase, source: SourceFile, sql: str) -> Any:
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
            f"The file cannot be read as {source.format} ({first_line(error)}).",
            file=source.path,
            row=row,
            remedy="Correct the file, or name its format with --format.",
        ) from error


def _place(sources: list[SourceFile], rows: list[int], position: int) -> tuple[SourceFile, int]:
    """The file and 1-based data row of a position in the table `loaded`."""
    for source, count in zip(sources, rows, strict=True):
        if position < count:
            return source, position + 1
        position -= count
    raise IndexError(position)


def _check_ids(work: WorkDatabase, sources: list[SourceFile], rows: list[int], roles: Roles) -> None:
    columns = roles.ids()
    checks = ", ".join(f"count(*) - count({letter}), min(rowid) FILTER ({letter} IS NULL)" for letter in columns)
    found = work.row(f"SELECT {checks} FROM loaded")
    for number, column in enumerate(columns.values()):
        count, position = found[2 * number : 2 * number + 2]
        if not count:
            continue
        source, row = _place(sources, rows, position)
        value = source.value(work.connection, column, row)
        more = f" ({count:,} such rows in all)" if count > 1 else ""
        if value is None or value == "":
            problem, remedy = f"The id is null{more}.", "Remove these rows or fill them in."
        else:
            problem = f"The id `{value}` is not an int64{more}."
            remedy = "Write the column as integers, or as strings in every file."
        raise DataError(problem, file=source.path, column=column, row=row, remedy=remedy)


def _check_times(
    work: WorkDatabase, time_unit: str, sources: list[SourceFile], rows: list[int], roles: Roles, kind: str
) -> tuple[str, str]:
    bad = "t IS NULL OR t < 0 OR NOT isfinite(t)" if kind == "DOUBLE" else "t IS NULL OR t < 0"
    count, position, largest = work.row(
        f"SELECT count(*), min(rowid), (SELECT max(t) FROM loaded) FROM loaded WHERE {bad}"
    )
    more = f" ({count:,} such rows in all)" if count > 1 else ""
    if count:
        source, row = _place(sources, rows, position)
        value = source.value(work.connection, roles.time, row)
        stored = work.scalar(f"SELECT t FROM loaded WHERE rowid = {position}")
        if value is None:
            what, remedy = "The time is null", "Remove these rows or fill them in."
        elif stored is None:
            what = f"The time `{value}` cannot be parsed as {'a datetime' if kind == 'datetime' else 'a number'}"
            remedy = "Write numbers or ISO 8601 text (2024-05-31T12:00:00Z)."
        elif stored < 0 and stored != float("-inf"):
            what, remedy = f"The time `{value}` is negative (before 1970)", "Correct or remove these rows."
        else:
            what, remedy = f"The time `{value}` is not a finite number", "Correct or remove these rows."
        raise DataError(f"{what}{more}.", file=source.path, column=roles.time, row=row, remedy=remedy)
    if kind == "datetime":
        unit, reason = "us", "datetime column"
    elif time_unit != "auto":
        unit, reason = time_unit, "given by --time-unit"
    else:
        unit = next(name for name, limit in _UNIT_LIMITS if largest < limit)
        reason = f"chosen by the largest value, {largest}"
    if largest > _LATEST_MS * _PER_MILLISECOND[unit]:
        position = work.scalar("SELECT min(rowid) FROM loaded WHERE t = (SELECT max(t) FROM loaded)")
        source, row = _place(sources, rows, position)
        raise DataError(
            f"The time `{largest}` in `{unit}` is after the year 9999.",
            file=source.path,
            column=roles.time,
            row=row,
            remedy="Give the right unit with --time-unit.",
        )
    return unit, reason


def _milliseconds(unit: str, kind: str) -> str:
    if unit == "s":
        return "CAST(round(t * 1000) AS BIGINT)"
    if unit == "ms":
        return "CAST(round(t) AS BIGINT)" if kind == "DOUBLE" else "t"
    divisor = 1000 if unit == "us" else 1_000_000
    return f"CAST(floor(t / {divisor}) AS BIGINT)" if kind == "DOUBLE" else f"(t // {divisor})"


def _encode_strings(work: WorkDatabase, id_types: dict[str, IdType]) -> None:
    """Makes the view `events`; string ids are replaced by codes in byte order of the ids, once."""
    strings = [letter for letter, kind in id_types.items() if kind == "string"]
    if not strings:
        work.run(f"CREATE VIEW events AS SELECT rowid AS pos, {', '.join(id_types)}, t FROM loaded")
        return
    for letter in strings:
        work.run(
            f"CREATE TABLE ids_{letter} AS SELECT row_number() OVER (ORDER BY {letter}) AS code, {letter} AS id "
            f"FROM (SELECT DISTINCT {letter} FROM loaded)"
        )
    columns = [f"ids_{letter}.code AS {letter}" if letter in strings else f"loaded.{letter}" for letter in id_types]
    joins = " ".join(f"JOIN ids_{letter} ON ids_{letter}.id = loaded.{letter}" for letter in strings)
    work.run(f"CREATE TABLE coded AS SELECT loaded.rowid AS pos, {', '.join(columns)}, t FROM loaded {joins}")
    work.run("DROP TABLE loaded")
    work.run("CREATE VIEW events AS SELECT * FROM coded")
