"""From published files to one tidy Parquet file, out of core and all or nothing."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tfrec.data.source_files import first_line
from tfrec.data.sources.public_dataset import FileSet, PublicDataset
from tfrec.data.sql import identifier, literal
from tfrec.errors import ConfigError, DataError


@dataclass(frozen=True)
class PreparedEvents:
    """What a data set holds after preparation.

    Attributes:
        files: The files that were read.
        rows: Rows of the Parquet file.
        distinct: Distinct ids per key column.
        first_time: Time of the first event (ms since 1970), None without times.
        last_time: Time of the last event.
        columns: duckdb type by column.
    """

    files: list[str]
    rows: int
    distinct: dict[str, int]
    first_time: int | None
    last_time: int | None
    columns: dict[str, str]


def prepare(
    dataset: PublicDataset,
    directory: Path,
    output: Path,
    *,
    follow_scripts: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    memory_limit: str = "2GB",
) -> PreparedEvents:
    """Writes the events of a public data set as one Parquet file.

    The columns are `user_id` or `session_id`, `item_id`, `timestamp` (int64, milliseconds since 1970 in UTC) and what
    else is useful. The file gets its name when it is whole; what does not fit into memory is sorted on disk beside it.

    Args:
        dataset: What to read.
        directory: Where the published files are.
        output: Parquet file to write.
        follow_scripts: Do as the authors' scripts do where they differ from the recipe.
        overwrite: Replace an existing file.
        dry_run: Read and check everything, write nothing.
        memory_limit: As duckdb writes it, for example `2GB`.

    Returns:
        What the file holds (with `dry_run`: would hold).

    Raises:
        DataError: A file is missing, damaged or not the published one, a value is missing or cannot be parsed, the
            output exists, or memory or disk is full.
        ConfigError: duckdb does not accept the memory limit.
    """
    _check_output(output, overwrite)
    file_set, paths = dataset.find(directory)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=None if dry_run else output.parent) as scratch:
        database = _connect(Path(scratch), memory_limit)
        try:
            query = _query(file_set, paths, follow_scripts=follow_scripts)
            columns = {row[0]: row[1] for row in database.execute(f"DESCRIBE {query}").fetchall()}
            if dry_run:
                return _summary(database, dataset, file_set, paths, f"({query})", columns)
            written = Path(scratch) / "events.parquet"
            # Rows equal in the first columns are ordered by the rest: the same files give the same rows in one order.
            rest = [name for name in columns if name not in dataset.order]
            names = ", ".join(identifier(name) for name in (*dataset.order, *rest))
            order = f" ORDER BY {names}" if dataset.order else ""
            database.execute(f"COPY ({query}{order}) TO {literal(str(written))} (FORMAT parquet, COMPRESSION zstd)")
            relation = f"read_parquet({literal(str(written))})"
            summary = _summary(database, dataset, file_set, paths, relation, columns)
            _check_output(output, overwrite)
            written.replace(output)
            return summary
        except duckdb.InterruptException as error:
            raise KeyboardInterrupt from error
        except duckdb.OutOfMemoryException as error:
            raise DataError(
                f"Memory or disk is full ({first_line(error)}).",
                file=output,
                remedy="Raise --memory-limit or free disk space beside the output.",
            ) from error
        except duckdb.Error as error:
            raise _unreadable(error, file_set, paths) from error
        finally:
            database.close()


def _check_output(output: Path, overwrite: bool) -> None:
    if output.is_dir():
        raise DataError("The output is a directory.", file=output, remedy="Name a file with --output.")
    if output.exists() and not overwrite:
        raise DataError("The output exists.", file=output, remedy="Choose another --output, or pass --overwrite.")
    if not output.parent.is_dir():
        raise DataError("No such directory.", file=output.parent, remedy="Make it, or choose another --output.")


def _connect(scratch: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    try:
        database = duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": str(scratch / "spill")})
    except (duckdb.InvalidInputException, duckdb.ParserException) as error:
        raise ConfigError(f"`--memory-limit` is `{memory_limit}`: {first_line(error)}.", remedy="Try 2GB.") from error
    database.execute("SET TimeZone = 'UTC'")
    return database


def _query(file_set: FileSet, paths: list[Path], *, follow_scripts: bool) -> str:
    query = file_set.script_query if follow_scripts and file_set.script_query is not None else file_set.query
    relations = [file.relation(path) for file, path in zip(file_set.files, paths, strict=True)]
    return query.replace("{events}", f"({' UNION ALL '.join(f'SELECT * FROM {relation}' for relation in relations)})")


def _summary(
    database: duckdb.DuckDBPyConnection,
    dataset: PublicDataset,
    file_set: FileSet,
    paths: list[Path],
    relation: str,
    columns: dict[str, str],
) -> PreparedEvents:
    ids = [name for name in dataset.keys if name.endswith("_id")]
    timed = "timestamp" in dataset.keys
    values: list[str] = [f"count({identifier(name)})" for name in dataset.keys]
    values += [f"count(DISTINCT {identifier(name)})" for name in ids]
    values += ["min(timestamp)", "max(timestamp)"] if timed else ["NULL", "NULL"]
    found: list[Any] = [*database.execute(f"SELECT count(*), {', '.join(values)} FROM {relation}").fetchall()[0]]
    rows, present = found[0], found[1 : 1 + len(dataset.keys)]
    if not rows:
        raise DataError("No rows are left.", file=paths[0], remedy="Check that these are the published files.")
    if dataset.most_rows is not None and rows > dataset.most_rows:
        raise DataError(
            f"{rows:,} rows; the data set `{dataset.name}` has at most {dataset.most_rows:,}.",
            file=paths[0],
            remedy="It is another data set in the same format: `python -m tfrec.datasets list` shows them.",
        )
    for name, count in zip(dataset.keys, present, strict=True):
        if count < rows:
            raise _missing_value(database, file_set, paths, name, rows - count)
    return PreparedEvents(
        files=[str(path) for path in paths],
        rows=rows,
        distinct=dict(zip(ids, found[1 + len(dataset.keys) : -2], strict=True)),
        first_time=found[-2],
        last_time=found[-1],
        columns=columns,
    )


def _missing_value(
    database: duckdb.DuckDBPyConnection, file_set: FileSet, paths: list[Path], name: str, count: int
) -> DataError:
    """The first missing value in the files that explains a null in the column `name` of the result."""
    remedy = "Remove the row, or get the file again."
    for file, path in zip(file_set.files, paths, strict=True):
        relation = file.relation(path)
        for column in file_set.required:
            place = database.execute(
                f"SELECT row FROM (SELECT *, row_number() OVER () AS row FROM {relation}) "
                f"WHERE {identifier(column)} IS NULL AND {file_set.keep} LIMIT 1"
            ).fetchone()
            if place:
                raw = _raw_value(database, file.relation(path, as_text=True), column, place[0])
                what = f"The value `{raw}` cannot be read" if raw else "The value is missing"
                return DataError(
                    f"{what} ({count:,} such rows in all).",
                    file=path,
                    column=column,
                    row=place[0],
                    remedy=remedy,
                )
    return DataError(f"{count:,} rows have no `{name}`.", file=paths[0], remedy=remedy)


def _raw_value(database: duckdb.DuckDBPyConnection, relation: str, column: str, row: int) -> Any:
    found = database.execute(f"SELECT {identifier(column)} FROM {relation} LIMIT 1 OFFSET {row - 1}").fetchone()
    return found[0] if found else None


def _unreadable(error: duckdb.Error, file_set: FileSet, paths: list[Path]) -> DataError:
    """The readable form of what duckdb says about a damaged file."""
    text = str(error)
    remedy = "Get the file again; it must be as its owner publishes it."
    line = re.search(r"CSV Error on Line: (\d+)", text)
    named = re.search(r"^\s*file = (.*)$", text, re.MULTILINE)
    column = re.search(r'converting column "([^"]*)"', text)
    value = re.search(r'Could not convert string "([^"]*)" to \'([^\']*)\'', text)
    number = next((n for n, path in enumerate(paths) if named and str(path) == named.group(1).strip()), 0)
    path, file = paths[number], file_set.files[number]
    if line is None:
        return DataError(f"The files cannot be read ({first_line(error)}).", file=path, remedy=remedy)
    row = int(line.group(1)) - int(file.header)
    if value:
        problem = f"The value `{value.group(1)}` is not a {value.group(2)}."
    else:
        detail = next((part for part in text.splitlines()[1:] if not part.startswith("Original Line")), "")
        problem = f"The row does not fit the published format ({detail.strip() or first_line(error)})."
    return DataError(problem, file=path, column=column.group(1) if column else None, row=row, remedy=remedy)
