"""First pass of a job: every event is read, checked and put into the bucket of its user or session."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tfrec.data.beam import job_files
from tfrec.data.beam.job_runner import Guarded, JobRunner, raise_task_errors
from tfrec.data.beam.log_pieces import POSITION, LogPiece, PieceSource, cell, read_piece
from tfrec.data.column_types import Roles
from tfrec.data.event_checks import bad_id, bad_time, bad_time_sql, find_time_unit, late_time, latest_time
from tfrec.data.event_loader import LoadedEvents, event_values, milliseconds_sql
from tfrec.data.manifest import IdType
from tfrec.data.row_conditions import RowCondition
from tfrec.data.source_files import SourceFile
from tfrec.data.sql import identifier
from tfrec.errors import DataError

FACTS = "read"
BUCKETS = "buckets"
CHECKSUMS = "checksums"
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class EventReader:
    """Reads pieces of a log; travels to the workers.

    Attributes:
        directory: Directory of the job.
        sources: Input files.
        roles: Columns by role.
        id_types: Type of each id.
        time_kind: How times are held, see `column_types.time_kind`.
        conditions: Which rows are read.
        features: Further columns of events that are kept, as text, null where there is no value.
        buckets: Number of buckets.
        count_reversals: Whether to count the rows that are earlier than the row before of the same user or session.
    """

    directory: str
    sources: tuple[SourceFile, ...]
    roles: Roles
    id_types: dict[str, IdType]
    time_kind: str
    conditions: tuple[RowCondition, ...]
    features: tuple[str, ...]
    buckets: int
    count_reversals: bool = False

    def __call__(self, piece: LogPiece) -> list[tuple[int, bytes]]:
        """Returns the events of a piece by bucket, as Arrow streams, and notes what it found out."""
        source = PieceSource(**vars(self.sources[piece.source]))
        used = [*self.roles.ids().values(), self.roles.time, *(condition.column for condition in self.conditions)]
        with tempfile.TemporaryDirectory(prefix="tfrec-") as folder, duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            relation = job_files.table_sql(read_piece(source, piece, [*used, *self.features]), Path(folder))
            database.execute(f"CREATE VIEW piece AS SELECT * FROM {relation}")
            self._check_conditions(database, source, piece)
            selected = " AND ".join(condition.sql(source) for condition in self.conditions) or "true"
            typed = {letter: (kind, False) for letter, kind in self.id_types.items()}
            values = event_values(source, self.roles, typed, self.time_kind)
            named = zip([*self.id_types, "t"], values, strict=True)
            chosen = [f"{identifier(POSITION)} AS pos", *(f"{value} AS {name}" for name, value in named)]
            texts = [
                (f"nullif(CAST({identifier(name)} AS VARCHAR), '')", feature_column(name)) for name in self.features
            ]
            chosen += [f"{text} AS {identifier(column)}" for text, column in texts]
            database.execute(f"CREATE TEMP TABLE loaded AS SELECT {', '.join(chosen)} FROM piece WHERE {selected}")
            facts = self._facts(database) | {"rows": piece.rows}
            job_files.write_json(job_files.join(self.directory, FACTS, f"{piece.first:020d}.json"), facts)
            if facts["bad"]:
                return []
            owner = next(iter(self.id_types))  # the user where there is one, else the session
            bucket = f"CAST(hash({owner}) % {self.buckets} AS INTEGER)"
            events = database.execute(f"SELECT {bucket} AS bucket, * FROM loaded ORDER BY bucket, pos")
            return list(job_files.streams_by(events.to_arrow_table(), "bucket"))

    def _check_conditions(self, database: duckdb.DuckDBPyConnection, source: SourceFile, piece: LogPiece) -> None:
        for condition in self.conditions:
            bad = condition.unordered(source)
            if bad is None:
                continue
            found = database.execute(f"SELECT min({identifier(POSITION)}) FROM piece WHERE {bad}").fetchone()
            if found is not None and found[0] is not None:
                value = cell(source, piece, condition.column, found[0])
                row = found[0] - piece.file_first + 1
                raise condition.not_a_number(source, value, row)

    def _facts(self, database: duckdb.DuckDBPyConnection) -> dict[str, Any]:
        checks = {letter: f"{letter} IS NULL" for letter in self.id_types} | {"t": bad_time_sql(self.time_kind)}
        counts = ", ".join(f"count(*) FILTER ({bad}), min(pos) FILTER ({bad})" for bad in checks.values())
        query = f"SELECT count(*), max(t), arg_max(pos, t), {counts} FROM loaded"
        (row,) = database.execute(query).fetchall()
        bad = {name: list(row[3 + 2 * n : 5 + 2 * n]) for n, name in enumerate(checks) if row[3 + 2 * n]}
        if "t" in bad:
            stored = database.execute(f"SELECT t FROM loaded WHERE pos = {bad['t'][1]}").fetchone()
            bad["t"].append(None if stored is None else stored[0])
        facts: dict[str, Any] = {"steps": 0, "reversals": 0}
        if self.count_reversals:
            owner = next(iter(self.id_types))
            steps = f"SELECT t - lag(t) OVER (PARTITION BY {owner} ORDER BY pos) AS step FROM loaded"
            (counts,) = database.execute(f"SELECT count(step), count(*) FILTER (step < 0) FROM ({steps})").fetchall()
            facts = dict(zip(("steps", "reversals"), counts, strict=True))
        return facts | {"selected": row[0], "latest": row[1], "latest_position": row[2], "bad": bad}


def feature_column(name: str) -> str:
    """Returns the column of an event feature in the tables of a job."""
    return f"f_{name}"


def fill_buckets(
    jobs: JobRunner, reader: EventReader, pieces: Sequence[LogPiece], time_unit: str
) -> tuple[LoadedEvents, list[tuple[int, str]]]:
    """Reads all pieces and writes one file per bucket, events in the order of the input.

    Args:
        jobs: The engine.
        reader: What to read.
        pieces: The pieces of the log.
        time_unit: Unit of numeric times, or `auto`.

    Returns:
        What was found out, and size in bytes and sha256 of each file.

    Raises:
        DataError: As `load_events`; or workers have not left what they found out.
    """

    def build(pipeline: Any) -> None:
        import apache_beam as beam

        _ = (
            pipeline
            | beam.Create(list(pieces))
            | beam.Reshuffle()
            | beam.FlatMap(Guarded(reader, reader.directory).flat)
            | beam.GroupByKey()
            | beam.Map(Guarded(_BucketWriter(reader.directory), reader.directory))
        )
        files = [(number, source.location) for number, source in enumerate(reader.sources)]
        _ = (
            pipeline
            | "files" >> beam.Create(files)
            | "spread files" >> beam.Reshuffle()
            | "checksums" >> beam.Map(_Checksum(reader.directory))
        )

    jobs.run("read", build)
    raise_task_errors(reader.directory)
    paths = job_files.list_files(job_files.join(reader.directory, FACTS))
    if len(paths) != len(pieces):
        raise DataError(
            f"The workers have left facts on {len(paths):,} of {len(pieces):,} row groups.",
            file=reader.directory,
            remedy="All workers must read and write the directory of the job: check that it is shared, and run again.",
        )
    loaded = _loaded(reader, pieces, [job_files.read_json(path) for path in paths], time_unit)
    checksums = job_files.list_files(job_files.join(reader.directory, CHECKSUMS))
    return loaded, [(facts["size"], facts["sha256"]) for facts in map(job_files.read_json, checksums)]


def row_order(directory: str) -> dict[str, int]:
    """Returns how many rows have a row before of the same user or session (`steps`), and how many of them are earlier.

    Rows are compared within one piece of the log; both are 0 unless the reader counted reversals.
    """
    facts = [job_files.read_json(path) for path in job_files.list_files(job_files.join(directory, FACTS))]
    return {name: sum(fact[name] for fact in facts) for name in ("steps", "reversals")}


def bucket_files(directory: str) -> list[str]:
    """Returns the files of the buckets of a job."""
    return job_files.list_files(job_files.join(directory, BUCKETS))


class _Checksum:
    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __call__(self, task: tuple[int, str]) -> None:
        number, location = task
        digest, size = hashlib.sha256(), 0
        with job_files.open_input(location) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
        facts = {"size": size, "sha256": digest.hexdigest()}
        job_files.write_json(job_files.join(self._directory, CHECKSUMS, f"{number:08d}.json"), facts)


class _BucketWriter:
    def __init__(self, directory: str) -> None:
        self._directory = directory

    def __call__(self, group: tuple[int, Iterable[bytes]]) -> None:
        bucket, streams = group
        table = pa.concat_tables([job_files.from_bytes(stream) for stream in streams]).sort_by("pos")
        job_files.write_table(job_files.join(self._directory, BUCKETS, f"{bucket:06d}.parquet"), table)


def _loaded(
    reader: EventReader, pieces: Sequence[LogPiece], facts: Sequence[dict[str, Any]], time_unit: str
) -> LoadedEvents:
    """Judges what the workers found out, as the local conversion does."""
    rows = [0] * len(reader.sources)
    for piece in pieces:
        rows[piece.source] += piece.rows
    for letter, column in reader.roles.ids().items():
        if any(letter in fact["bad"] for fact in facts):
            count, position, _ = _worst(facts, letter)
            source, piece, row = _place(reader, pieces, position)
            raise bad_id(source, column, row, cell(source, piece, column, position), count)
    if any("t" in fact["bad"] for fact in facts):
        count, position, stored = _worst(facts, "t")
        source, piece, row = _place(reader, pieces, position)
        value = cell(source, piece, reader.roles.time, position)
        raise bad_time(source, reader.roles.time, row, value, stored, reader.time_kind, count)
    read = [fact for fact in facts if fact["selected"]]
    if not read:
        texts = ", ".join(f"`{condition.text}`" for condition in reader.conditions)
        raise DataError(
            f"None of {sum(rows):,} rows satisfies {texts} (`--where`).",
            file=reader.sources[0].path,
            remedy="Check the condition against the values of the column.",
        )
    latest = max(fact["latest"] for fact in read)
    unit, reason = find_time_unit(time_unit, reader.time_kind, latest)
    if latest > latest_time(unit):
        position = min(fact["latest_position"] for fact in read if fact["latest"] == latest)
        source, _, row = _place(reader, pieces, position)
        raise late_time(latest, unit, source, row, reader.roles.time)
    unselected = sum(rows) - sum(fact["selected"] for fact in facts)
    milliseconds = milliseconds_sql(unit, reader.time_kind)
    return LoadedEvents(reader.roles, reader.id_types, milliseconds, unit, reason, rows, unselected)


def _worst(facts: Sequence[dict[str, Any]], name: str) -> tuple[int, int, float | None]:
    """How many values of a column are bad, and the first of them."""
    found = [fact["bad"][name] for fact in facts if name in fact["bad"]]
    first = min(found, key=lambda entry: entry[1])
    return sum(entry[0] for entry in found), first[1], first[2] if len(first) > 2 else None


def _place(reader: EventReader, pieces: Sequence[LogPiece], position: int) -> tuple[SourceFile, LogPiece, int]:
    """The file, the piece and the row (from 1) of a position."""
    piece = next(piece for piece in pieces if piece.first <= position < piece.first + piece.rows)
    return reader.sources[piece.source], piece, position - piece.file_first + 1
