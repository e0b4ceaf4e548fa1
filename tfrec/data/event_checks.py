"""Checks of loaded events: null ids, times that are no times, and the unit of numeric times."""

from __future__ import annotations

from tfrec.data.column_types import Roles
from tfrec.data.source_files import SourceFile
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError

# Largest value that a unit can explain: 1e11 s is the year 5138, 1e11 ms is March 1973.
_UNIT_LIMITS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", float("inf")))
_LATEST_MS = 253_402_300_800_000  # the year 10000
_PER_MILLISECOND = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}


def check_ids(work: WorkDatabase, sources: list[SourceFile], rows: list[int], roles: Roles, place: str) -> None:
    """Raises DataError for the first null id (or one that is no int64) of the table `loaded`.

    Args:
        work: The work database.
        sources: Input files.
        rows: Rows of each.
        roles: Columns by role.
        place: Column of `loaded` with the position of the row in the input.
    """
    columns = roles.ids()
    checks = ", ".join(f"count(*) - count({letter}), min({place}) FILTER ({letter} IS NULL)" for letter in columns)
    found = work.row(f"SELECT {checks} FROM loaded")
    for number, column in enumerate(columns.values()):
        count, position = found[2 * number : 2 * number + 2]
        if not count:
            continue
        source, row = event_place(sources, rows, position)
        raise bad_id(source, column, row, source.value(work.connection, column, row), count)


def bad_id(source: SourceFile, column: str, row: int, value: object, count: int) -> DataError:
    """Returns the error for an id that is null or no int64; `count` such rows there are in all."""
    more = f" ({count:,} such rows in all)" if count > 1 else ""
    if value is None or value == "":
        problem, remedy = f"The id is null{more}.", "Remove these rows or fill them in."
    else:
        problem = f"The id `{value}` is not an int64{more}."
        remedy = "Write the column as integers, or as strings in every file."
    return DataError(problem, file=source.path, column=column, row=row, remedy=remedy)


def check_times(
    work: WorkDatabase, time_unit: str, sources: list[SourceFile], rows: list[int], roles: Roles, kind: str, place: str
) -> tuple[str, str]:
    """Returns the unit of the times in `loaded`, and why it is that one.

    Args:
        work: The work database.
        time_unit: Unit asked for, or `auto`.
        sources: Input files.
        rows: Rows of each.
        roles: Columns by role.
        kind: From `time_kind`.
        place: Column of `loaded` with the position of the row in the input.

    Raises:
        DataError: A null, unparseable, negative or not finite time, or one after the year 9999.
    """
    count, position, largest = work.row(
        f"SELECT count(*), min({place}), (SELECT max(t) FROM loaded) FROM loaded WHERE {bad_time_sql(kind)}"
    )
    if count:
        source, row = event_place(sources, rows, position)
        value = source.value(work.connection, roles.time, row)
        stored = work.scalar(f"SELECT t FROM loaded WHERE {place} = {position}")
        raise bad_time(source, roles.time, row, value, stored, kind, count)
    unit, reason = find_time_unit(time_unit, kind, largest)
    if largest > latest_time(unit):
        position = work.scalar(f"SELECT min({place}) FROM loaded WHERE t = (SELECT max(t) FROM loaded)")
        raise late_time(largest, unit, *event_place(sources, rows, position), roles.time)
    return unit, reason


def bad_time_sql(kind: str) -> str:
    """Returns SQL that is true for a `t` that is no time; `kind` is from `time_kind`."""
    return "(t IS NULL OR t < 0 OR NOT isfinite(t))" if kind == "DOUBLE" else "(t IS NULL OR t < 0)"


def bad_time(
    source: SourceFile, column: str, row: int, value: object, stored: float | None, kind: str, count: int
) -> DataError:
    """Returns the error for what is no time: `value` in the file, `stored` as a number; `count` such rows in all."""
    more = f" ({count:,} such rows in all)" if count > 1 else ""
    if value is None:
        what, remedy = "The time is null", "Remove these rows or fill them in."
    elif stored is None:
        what = f"The time `{value}` cannot be parsed as {'a datetime' if kind == 'datetime' else 'a number'}"
        remedy = "Write numbers or ISO 8601 text (2024-05-31T12:00:00Z)."
    elif stored < 0 and stored != float("-inf"):
        what, remedy = f"The time `{value}` is negative (before 1970)", "Correct or remove these rows."
    else:
        what, remedy = f"The time `{value}` is not a finite number", "Correct or remove these rows."
    return DataError(f"{what}{more}.", file=source.path, column=column, row=row, remedy=remedy)


def find_time_unit(asked: str, kind: str, largest: float) -> tuple[str, str]:
    """Returns the unit of numeric times, and why it is that one.

    Args:
        asked: Unit asked for, or `auto`.
        kind: From `time_kind`.
        largest: The largest time.
    """
    if kind == "datetime":
        return "us", "datetime column"
    if asked != "auto":
        return asked, "given by --time-unit"
    unit = next(name for name, limit in _UNIT_LIMITS if largest < limit)
    return unit, f"chosen by the largest value, {largest}"


def latest_time(unit: str) -> float:
    """Returns the largest time that is accepted: the year 10000."""
    return _LATEST_MS * _PER_MILLISECOND[unit]


def late_time(largest: float, unit: str, source: SourceFile, row: int, column: str) -> DataError:
    """Returns the error for a time after `latest_time`."""
    return DataError(
        f"The time `{largest}` in `{unit}` is after the year 9999.",
        file=source.path,
        column=column,
        row=row,
        remedy="Give the right unit with --time-unit.",
    )


def event_place(sources: list[SourceFile], rows: list[int], position: int) -> tuple[SourceFile, int]:
    """Returns the file and the 1-based data row of an event, given its position in the input (`pos`).

    Args:
        sources: Input files.
        rows: Rows of each.
        position: Position over all files, from 0.
    """
    for source, count in zip(sources, rows, strict=True):
        if position < count:
            return source, position + 1
        position -= count
    raise IndexError(position)
