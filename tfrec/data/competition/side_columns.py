"""Features that stand in JSON objects by their id, as typed columns of a Parquet file."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from tfrec.data.sql import identifier, literal
from tfrec.errors import DataError

_NAME = re.compile(r"[A-Za-z0-9_]+")
_WHOLE = "('BIGINT', 'UBIGINT')"
_NUMBERS = "('BIGINT', 'UBIGINT', 'DOUBLE')"


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
        DataError: The name of a feature is not of letters, digits and _, or a value is neither number, text nor list.
    """
    names = [name for (name,) in work.execute(f"SELECT DISTINCT unnest(json_keys(features)) FROM {table}").fetchall()]
    columns, cold = [identifier(id_column)], 0
    for name in sorted(names, key=lambda name: (len(name), name)):
        if not _NAME.fullmatch(name):
            raise DataError(f"`{name}` is no name of a feature.", file=str(place), remedy="Check the file.")
        value = f"""json_extract(features, '$."{name}"')"""
        kinds = _kinds(work, f"SELECT {value} AS value FROM {table}")
        strange = kinds.keys() - {"ARRAY", "DOUBLE", "BIGINT", "UBIGINT", "VARCHAR", "NULL"}
        if strange:
            raise DataError(
                f"Values of the feature `{name}` are {min(strange)}.",
                file=str(place),
                remedy="Features are numbers, texts, or lists of them.",
            )
        cold += kinds.get("VARCHAR", 0)
        if "ARRAY" in kinds:
            listed = f"CASE WHEN json_type({value}) = 'ARRAY' THEN CAST({value} AS JSON[]) END"
            cold += _kinds(work, f"SELECT unnest({listed}) AS value FROM {table}").get("VARCHAR", 0)
            whole = f"lambda x: json_type(x) IN {_WHOLE} AND CAST(x AS BIGINT) <> 0"
            made = f"coalesce(list_transform(list_filter({listed}, {whole}), lambda x: CAST(x AS BIGINT)), [])"
        elif "DOUBLE" in kinds and _has_fractions(work, table, value):
            made = f"CASE WHEN json_type({value}) IN {_NUMBERS} THEN CAST({value} AS DOUBLE) END"
        else:
            whole = f"CAST(CAST({value} AS DOUBLE) AS BIGINT)"
            made = f"nullif(CASE WHEN json_type({value}) IN {_NUMBERS} THEN {whole} END, 0)"
        columns.append(f"{made} AS {identifier(prefix + name)}")
    chosen = f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1"
    work.execute(f"COPY ({chosen}) TO {literal(str(path))} (FORMAT parquet)")
    return cold


def _kinds(work: duckdb.DuckDBPyConnection, values: str) -> dict[str, int]:
    """How often each type of JSON occurs among the values that are there."""
    counted = f"SELECT json_type(value), count(*) FROM ({values}) WHERE value IS NOT NULL GROUP BY 1"
    return dict(work.execute(counted).fetchall())


def _has_fractions(work: duckdb.DuckDBPyConnection, table: str, value: str) -> bool:
    fraction = f"json_type({value}) = 'DOUBLE' AND CAST({value} AS DOUBLE) <> floor(CAST({value} AS DOUBLE))"
    [[found]] = work.execute(f"SELECT count(*) FROM {table} WHERE {fraction}").fetchall()
    return bool(found)
