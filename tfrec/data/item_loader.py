"""Files of items or users into one checked table of the work database."""

from __future__ import annotations

from tfrec.data.column_types import read_value
from tfrec.data.event_checks import event_place
from tfrec.data.item_columns import DEFAULT_SEPARATOR, ItemColumns, ItemFeatureColumn
from tfrec.data.manifest import IdType
from tfrec.data.side_files import SideFiles
from tfrec.data.source_files import SourceFile
from tfrec.data.sql import identifier, literal
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError

_LARGEST_FLOAT32 = 3.4028234663852886e38


def load_items(
    work: WorkDatabase, side: SideFiles, sources: list[SourceFile], columns: ItemColumns, id_type: IdType
) -> list[int]:
    """Reads the files into the table `item_rows` (or `user_rows`) and checks every value.

    The table has the columns `pos` (position in the files), `id` (as in the log), `title` and, for feature number n,
    `f<n>`: text or BIGINT for a category, a list of them for a list, DOUBLE for a number. Missing values (empty text,
    NaN) are null, in lists they are left out.

    Args:
        work: The work database.
        side: What is said of the files.
        sources: The files.
        columns: Columns by role.
        id_type: Type of the ids in the log.

    Returns:
        Rows of each file.

    Raises:
        DataError: An id that is missing, of another type than in the log or there twice, a number that is none, a
            damaged file or one without rows; with file, column, row and value.
    """
    with work.stage(f"{side.noun}s") as stage:
        if not stage.done:
            integer = id_type == "int64"
            declared = ["pos BIGINT", f"id {'BIGINT' if integer else 'VARCHAR'}", "title VARCHAR"]
            declared += [f"f{n} {_type(feature)}" for n, feature in enumerate(columns.features)]
            work.run(f"CREATE OR REPLACE TABLE {side.rows} ({', '.join(declared)})")
            rows: list[int] = []
            for source in sources:
                values = [
                    f'"tfrec row" + {sum(rows)}',
                    _integer_id(columns.id) if integer else f"nullif(CAST({identifier(columns.id)} AS VARCHAR), '')",
                    f"nullif(CAST({identifier(columns.title)} AS VARCHAR), '')" if columns.title else "NULL",
                    *(_value(source, feature, side.list_separator) for feature in columns.features),
                ]
                numbered = f'(SELECT *, row_number() OVER () - 1 AS "tfrec row" FROM {source.relation()})'
                inserted = f"INSERT INTO {side.rows} SELECT {', '.join(values)} FROM {numbered}"
                rows.append(int(read_value(work, source, inserted)))
            _check(work, side, sources, rows, columns, integer=integer)
            stage.facts["rows"] = rows
        found: list[int] = stage.facts["rows"]
    return found


def _type(feature: ItemFeatureColumn) -> str:
    if feature.kind == "number":
        return "DOUBLE"
    element = "BIGINT" if feature.id_type == "int64" else "VARCHAR"
    return f"{element}[]" if feature.kind == "list" else element


def _integer_id(column: str) -> str:
    """Only the canonical text of an integer is one: `007` is not the id 7."""
    name = identifier(column)
    number = f"TRY_CAST({name} AS BIGINT)"
    return f"CASE WHEN CAST({number} AS VARCHAR) = CAST({name} AS VARCHAR) THEN {number} END"


def _value(source: SourceFile, feature: ItemFeatureColumn, separator: str | None) -> str:
    name, declared = identifier(feature.name), source.columns[feature.name]
    element = "BIGINT" if feature.id_type == "int64" else "VARCHAR"
    if feature.kind == "number":
        return f"CASE WHEN NOT isnan(TRY_CAST({name} AS DOUBLE)) THEN TRY_CAST({name} AS DOUBLE) END"
    if feature.kind == "category":
        return name if element == "BIGINT" else f"nullif(CAST({name} AS VARCHAR), '')"
    if declared.endswith("[]"):
        present = "x IS NOT NULL" if element == "BIGINT" else "nullif(x, '') IS NOT NULL"
        return f"list_filter(CAST({name} AS {element}[]), lambda x: {present})"
    if source.format == "jsonl" and element == "VARCHAR":
        # Arrays of JSON lines arrive as text.
        array = f"CAST(CASE WHEN {name} LIKE '[%' THEN TRY_CAST({name} AS JSON) END AS VARCHAR[])"
        return f"coalesce(list_filter({array}, lambda x: nullif(x, '') IS NOT NULL), {_cut(source, name, separator)})"
    return _cut(source, name, separator)


def _cut(source: SourceFile, name: str, separator: str | None) -> str:
    cut = separator or (" " if source.format == "inter" else DEFAULT_SEPARATOR)
    return f"list_filter(list_transform(string_split({name}, {literal(cut)}), lambda x: trim(x)), lambda x: x != '')"


def _check(
    work: WorkDatabase,
    side: SideFiles,
    sources: list[SourceFile],
    rows: list[int],
    columns: ItemColumns,
    *,
    integer: bool,
) -> None:
    if not sum(rows):
        raise DataError(f"The {side.noun} file has no data rows.", file=sources[0].path, remedy="Check the file.")
    position = work.scalar(f"SELECT min(pos) FROM {side.rows} WHERE id IS NULL")
    if position is not None:
        source, row = event_place(sources, rows, position)
        value = source.value(work.connection, columns.id, row)
        problem = f"The {side.noun} id `{value}` is not an int64."
        if value in (None, ""):
            problem = f"The {side.noun} id is missing."
        remedy = "Fill it in, or remove the row."
        if value not in (None, "") and integer:
            remedy = "Ids must be written as in the log, where they are integers."
        raise DataError(problem, file=source.path, column=columns.id, row=row, remedy=remedy)
    repeated = work.rows(
        "SELECT arg_min(id, pos), min(pos), arg_min(second, pos), sum(again)::BIGINT FROM (SELECT id, min(pos) AS pos, "
        f"list_sort(list(pos))[2] AS second, count(*) - 1 AS again FROM {side.rows} GROUP BY id HAVING count(*) > 1)"
    )[0]
    if repeated[1] is not None:
        identity, first, second, count = repeated
        source, row = event_place(sources, rows, second)
        earlier, earlier_row = event_place(sources, rows, first)
        where = f"row {earlier_row}" if earlier is source else f"`{earlier.path}`, row {earlier_row}"
        raise DataError(
            f"The {side.noun} `{identity}` has another row already: {where} ({count:,} such rows in all).",
            file=source.path,
            column=columns.id,
            row=row,
            remedy=f"Leave one row per {side.noun}.",
        )
    for number, feature in enumerate(columns.features):
        if feature.kind == "number":
            _check_number(work, side, sources, rows, feature.name, f"f{number}")


def _check_number(
    work: WorkDatabase, side: SideFiles, sources: list[SourceFile], rows: list[int], name: str, column: str
) -> None:
    """Raises DataError for the first text that is no number, and for numbers that float32 cannot hold."""
    position = work.scalar(f"SELECT min(pos) FROM {side.rows} WHERE abs({column}) > {_LARGEST_FLOAT32!r}")
    if position is not None:
        source, row = event_place(sources, rows, position)
        value = source.value(work.connection, name, row)
        raise DataError(
            f"`{value}` is not a finite float32 number.",
            file=source.path,
            column=name,
            row=row,
            remedy="Correct it, or leave it empty.",
        )
    for source in sources:
        if source.columns[name] != "VARCHAR":
            continue
        quoted = identifier(name)
        bad = f"nullif(trim({quoted}), '') IS NOT NULL AND TRY_CAST({quoted} AS DOUBLE) IS NULL"
        numbered = f"SELECT {bad} AS bad, row_number() OVER () AS row FROM {source.relation()}"
        row = read_value(work, source, f"SELECT min(row) FROM ({numbered}) WHERE bad")
        if row is not None:
            value = source.value(work.connection, name, row)
            raise DataError(
                f"`{value}` is not a number.",
                file=source.path,
                column=name,
                row=row,
                remedy=f"Correct it, or read the column as text (--{side.noun}-features {name}:category).",
            )
