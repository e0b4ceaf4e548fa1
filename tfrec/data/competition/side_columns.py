"""Features that stand in JSON objects by their id, as typed columns of a Parquet file."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from tfrec.data.sql import identifier, literal
from tfrec.errors import DataError

_NAME = re.compile(r"[A-Za-z0-9_]+")
_NUMBERS = "('BIGINT', 'UBIGINT', 'DOUBLE')"
_PLAIN = {"DOUBLE", "BIGINT", "UBIGINT", "VARCHAR", "NULL"}
_REMEDY = "Features are numbers, texts, or lists of whole numbers and texts."


def write_side_columns(
    work: duckdb.DuckDBPyConnection, table: str, id_column: str, path: Path, prefix: str, place: Path
) -> int:
    """Writes `(id, features)` as one column per feature.

    A feature with lists anywhere is a list, one with fractions anywhere a number, any other one a category. Text was
    never given a number by those who made the files: it counts as missing, in lists it is left out. So does 0 of
    categories and lists, which is what is filled in for missing values.

    Args:
        work: The database.
        table: Its table with the column of ids, and `features`, JSON objects.
        id_column: The column of ids.
        path: Parquet file to write.
        prefix: What the names of columns begin with.
        place: What was read, for messages.

    Returns:
        How many values counted as missing for being text.

    Raises:
        DataError: Features are no object, the name of one is not of letters, digits and _, a value is neither number,
            text nor list, or a category is beyond int64 or, in a list, no whole number; with the id.
    """
    checks = _Checks(work, id_column, place)
    checks.refuse(f"SELECT {id_column}, features AS value FROM {table}", "json_type(value) <> 'OBJECT'", "no object")
    names = [name for (name,) in work.execute(f"SELECT DISTINCT unnest(json_keys(features)) FROM {table}").fetchall()]
    columns, cold = [identifier(id_column)], 0
    for name in sorted(names, key=lambda name: (len(name), name)):
        if not _NAME.fullmatch(name):
            raise DataError(f"`{name}` is no name of a feature.", file=str(place), remedy="Check the file.")
        value = f"""json_extract(features, '$."{name}"')"""
        values = f"SELECT {id_column}, {value} AS value FROM {table}"
        kinds = _kinds(work, values)
        for kind in sorted(kinds.keys() - _PLAIN - {"ARRAY"}):
            checks.refuse(values, f"json_type(value) = '{kind}'", kind, name)
        cold += kinds.get("VARCHAR", 0)
        number = f"json_type({value}) IN {_NUMBERS}"
        if "ARRAY" in kinds:
            listed = f"CASE WHEN json_type({value}) = 'ARRAY' THEN CAST({value} AS JSON[]) END"
            elements = f"SELECT {id_column}, unnest({listed}) AS value FROM {table}"
            found = _kinds(work, elements)
            for kind in sorted(found.keys() - _PLAIN):
                checks.refuse(elements, f"json_type(value) = '{kind}'", f"{kind} in a list", name)
            cold += found.get("VARCHAR", 0)
            checks.refuse(elements, f"json_type(value) IN {_NUMBERS} AND {_whole('value')} IS NULL", "no int64", name)
            checks.refuse(
                elements, f"json_type(value) = 'DOUBLE' AND {_fraction('value')}", "a fraction in a list", name
            )
            kept = f"lambda x: json_type(x) IN {_NUMBERS} AND {_whole('x')} <> 0"
            made = f"coalesce(list_transform(list_filter({listed}, {kept}), lambda x: {_whole('x')}), [])"
        elif "DOUBLE" in kinds and _has_fractions(work, table, value):
            made = f"CASE WHEN {number} THEN CAST({value} AS DOUBLE) END"
        else:
            checks.refuse(values, f"json_type(value) IN {_NUMBERS} AND {_whole('value')} IS NULL", "no int64", name)
            made = f"nullif(CASE WHEN {number} THEN {_whole(value)} END, 0)"
        columns.append(f"{made} AS {identifier(prefix + name)}")
    chosen = f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1"
    work.execute(f"COPY ({chosen}) TO {literal(str(path))} (FORMAT parquet)")
    return cold


class _Checks:
    """Looks for the first value that is unfit.

    Args:
        work: The database.
        id_column: The column of ids.
        place: What was read.
    """

    def __init__(self, work: duckdb.DuckDBPyConnection, id_column: str, place: Path) -> None:
        self.work, self.id_column, self.place = work, id_column, place

    def refuse(self, values: str, bad: str, what: str, feature: str = "") -> None:
        """Raises a DataError for the first of `values` (the id, `value`) that is bad."""
        found = self.work.execute(
            f"SELECT {self.id_column}, CAST(value AS VARCHAR) FROM ({values}) WHERE {bad} ORDER BY 1 LIMIT 1"
        ).fetchall()
        if found:
            [[identity, value]] = found
            where = f"Values of the feature `{feature}`" if feature else "Features"
            raise DataError(
                f"{where} are {what}: `{value}` of the {self.id_column} `{identity}`.",
                file=str(self.place),
                remedy=_REMEDY,
            )


def _whole(value: str) -> str:
    """SQL for a JSON number as an int64, null where it is beyond; floats are rounded."""
    wide = f"TRY_CAST(CAST({value} AS DOUBLE) AS BIGINT)"
    return f"CASE WHEN json_type({value}) = 'DOUBLE' THEN {wide} ELSE TRY_CAST({value} AS BIGINT) END"


def _fraction(value: str) -> str:
    return f"CAST({value} AS DOUBLE) <> floor(CAST({value} AS DOUBLE))"


def _kinds(work: duckdb.DuckDBPyConnection, values: str) -> dict[str, int]:
    """How often each type of JSON occurs among the values that are there."""
    counted = f"SELECT json_type(value), count(*) FROM ({values}) WHERE value IS NOT NULL GROUP BY 1"
    return dict(work.execute(counted).fetchall())


def _has_fractions(work: duckdb.DuckDBPyConnection, table: str, value: str) -> bool:
    fraction = f"json_type({value}) = 'DOUBLE' AND {_fraction(value)}"
    [[found]] = work.execute(f"SELECT count(*) FROM {table} WHERE {fraction}").fetchall()
    return bool(found)
