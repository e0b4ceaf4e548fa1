"""First stage of a conversion: all input files into one table of checked events."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec.data.column_types import Roles, id_type, is_loose, read_value, time_kind, time_sql
from tfrec.data.event_checks import check_ids, check_times
from tfrec.data.manifest import IdType
from tfrec.data.row_conditions import RowCondition
from tfrec.data.source_files import SourceFile
from tfrec.data.sql import identifier
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError

_ROW = '"tfrec row"'


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
        unselected: Rows that the conditions left out.
    """

    roles: Roles
    id_types: dict[str, IdType]
    milliseconds: str
    time_unit: str
    time_unit_reason: str
    rows: list[int]
    unselected: int = 0


def load_events(
    work: WorkDatabase,
    sources: list[SourceFile],
    roles: Roles,
    time_unit: str,
    conditions: tuple[RowCondition, ...] = (),
) -> LoadedEvents:
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
        conditions: Rows that do not satisfy all of them are not read: whatever else they hold is not checked.

    Returns:
        What was found out.

    Raises:
        DataError: A wrong type, a null id, a null, NaN, negative, infinite or unparseable time, a damaged file, a file
            without rows; with file, column, row and value.
    """
    with work.stage("read") as stage:
        if not stage.done:
            guesses = {letter: id_type(work, sources, column) for letter, column in roles.ids().items()}
            kind = time_kind(work, sources, roles.time)
            rows = _insert(work, sources, roles, guesses, kind, conditions)
            if wrong := _wrongly_guessed(work, guesses):
                guesses.update(dict.fromkeys(wrong, ("string", False)))
                rows = _insert(work, sources, roles, guesses, kind, conditions)
            left = work.scalar("SELECT count(*) FROM loaded")
            if not left:
                texts = ", ".join(f"`{condition.text}`" for condition in conditions)
                raise DataError(
                    f"None of {sum(rows):,} rows satisfies {texts} (`--where`).",
                    file=sources[0].path,
                    remedy="Check the condition against the values of the column.",
                )
            stage.facts.update(rows=rows, time_kind=kind, unselected=sum(rows) - left)
            stage.facts["id_types"] = {letter: kind for letter, (kind, _) in guesses.items()}
        rows, kind, id_types = stage.facts["rows"], stage.facts["time_kind"], stage.facts["id_types"]
        unselected = stage.facts["unselected"]
    with work.stage("check") as stage:
        if not stage.done:
            place = "pos" if conditions else "rowid"
            check_ids(work, sources, rows, roles, place)
            unit, reason = check_times(work, time_unit, sources, rows, roles, kind, place)
            stage.facts.update(unit=unit, reason=reason)
            encode_strings(work, id_types, place)
        unit, reason = stage.facts["unit"], stage.facts["reason"]
    return LoadedEvents(roles, id_types, milliseconds_sql(unit, kind), unit, reason, rows, unselected)


def _wrongly_guessed(work: WorkDatabase, guesses: dict[str, tuple[IdType, bool]]) -> list[str]:
    """Id columns of text files that were taken for integers but are not, by the whole of their values."""
    guessed = [letter for letter, (_, guess) in guesses.items() if guess]
    if not guessed:
        return []
    counts = work.row("SELECT " + ", ".join(f"count(*) FILTER (loose_{letter})" for letter in guessed) + " FROM loaded")
    return [letter for letter, count in zip(guessed, counts, strict=True) if count]


def _insert(
    work: WorkDatabase,
    sources: list[SourceFile],
    roles: Roles,
    id_types: dict[str, tuple[IdType, bool]],
    times: str,
    conditions: tuple[RowCondition, ...],
) -> list[int]:
    columns = ["pos BIGINT"] if conditions else []
    for letter, (kind, guessed) in id_types.items():
        columns.append(f"{letter} {'BIGINT' if kind == 'int64' else 'VARCHAR'}")
        if guessed:
            columns.append(f"loose_{letter} BOOLEAN")
    columns.append("t DOUBLE" if times == "DOUBLE" else "t BIGINT")
    work.run(f"CREATE OR REPLACE TABLE loaded ({', '.join(columns)})")
    rows: list[int] = []
    for source in sources:
        relation, first = source.relation(), sum(rows)
        expressions = []
        if conditions:
            expressions.append(f"{_ROW} + {first}")
            count = _check_conditions(work, source, conditions)
            selected = " AND ".join(condition.sql(source) for condition in conditions)
            relation = f"(SELECT *, row_number() OVER () - 1 AS {_ROW} FROM {relation}) WHERE {selected}"
        expressions += event_values(source, roles, id_types, times)
        inserted = read_value(work, source, f"INSERT INTO loaded SELECT {', '.join(expressions)} FROM {relation}")
        if not conditions:
            count = inserted
        if count == 0 and source.named:
            raise DataError("The file has no data rows.", file=source.path, remedy="Remove it from the input.")
        rows.append(int(count))
    if not sum(rows):
        raise DataError("No data rows in any input file.", file=sources[0].path, remedy="Check the input.")
    return rows


def event_values(source: SourceFile, roles: Roles, id_types: dict[str, tuple[IdType, bool]], times: str) -> list[str]:
    """Returns SQL for the ids and the time of a row, in the order of the columns of `loaded`.

    Args:
        source: The file the row is in.
        roles: Columns by role.
        id_types: Type of each id, and whether it was only guessed; then the id is followed by whether the guess fails.
        times: From `time_kind`.
    """
    expressions = []
    for letter, column in roles.ids().items():
        kind, guessed = id_types[letter]
        name = identifier(column)
        if kind == "int64":
            expressions.append(f"TRY_CAST({name} AS BIGINT)")
        else:
            expressions.append(f"nullif(CAST({name} AS VARCHAR), '')")
        if guessed:
            expressions.append(is_loose(name))
    expressions.append(time_sql(source, roles.time, times))
    return expressions


def _check_conditions(work: WorkDatabase, source: SourceFile, conditions: tuple[RowCondition, ...]) -> int:
    """Returns the rows of a file; raises DataError for the first value that a condition cannot judge."""
    for condition in conditions:
        bad = condition.unordered(source)
        if bad is None:
            continue
        numbered = f"SELECT {bad} AS bad, row_number() OVER () AS row FROM {source.relation()}"
        row = read_value(work, source, f"SELECT min(row) FROM ({numbered}) WHERE bad")
        if row is not None:
            raise condition.not_a_number(source, source.value(work.connection, condition.column, row), row)
    return int(read_value(work, source, f"SELECT count(*) FROM {source.relation()}"))


def milliseconds_sql(unit: str, kind: str) -> str:
    """Returns SQL for `t` in milliseconds; `kind` is from `time_kind`."""
    if unit == "s":
        return "CAST(round(t * 1000) AS BIGINT)"
    if unit == "ms":
        return "CAST(round(t) AS BIGINT)" if kind == "DOUBLE" else "t"
    divisor = 1000 if unit == "us" else 1_000_000
    return f"CAST(floor(t / {divisor}) AS BIGINT)" if kind == "DOUBLE" else f"(t // {divisor})"


def encode_strings(work: WorkDatabase, id_types: dict[str, IdType], place: str) -> None:
    """Makes the view `events` of `loaded`; string ids are replaced by codes in byte order of the ids, once.

    Args:
        work: The work database.
        id_types: Type of each id.
        place: Column of `loaded` with the position of the row in the input.
    """
    strings = [letter for letter, kind in id_types.items() if kind == "string"]
    if not strings:
        work.run(f"CREATE VIEW events AS SELECT {place} AS pos, {', '.join(id_types)}, t FROM loaded")
        return
    for letter in strings:
        work.run(
            f"CREATE TABLE ids_{letter} AS SELECT row_number() OVER (ORDER BY {letter}) AS code, {letter} AS id "
            f"FROM (SELECT DISTINCT {letter} FROM loaded)"
        )
    columns = [f"ids_{letter}.code AS {letter}" if letter in strings else f"loaded.{letter}" for letter in id_types]
    joins = " ".join(f"JOIN ids_{letter} ON ids_{letter}.id = loaded.{letter}" for letter in strings)
    work.run(f"CREATE TABLE coded AS SELECT loaded.{place} AS pos, {', '.join(columns)}, t FROM loaded {joins}")
    work.run("DROP TABLE loaded")
    work.run("CREATE VIEW events AS SELECT * FROM coded")
