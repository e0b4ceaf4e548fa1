"""Files that the workers of a job share: on a local or mounted disk, or on any file system that Beam knows."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.remote_paths import scheme_of
from tfrec.data.sql import literal

_CHUNK_BYTES = 1 << 22


def join(directory: str, *names: str) -> str:
    """Returns the path of something in a directory, local or remote."""
    return "/".join([directory.rstrip("/"), *names])


def open_input(path: str) -> BinaryIO:
    """Opens a file to be read at any position."""
    if not scheme_of(path):
        return Path(path).open("rb")
    return cast(BinaryIO, _beam().open(path, compression_type="uncompressed"))


def read_bytes(path: str) -> bytes:
    """Reads a whole file."""
    with open_input(path) as file:
        return file.read()


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file, whole or not at all; a retried task writes the same again."""
    if scheme_of(path):
        with _beam().create(path, compression_type="uncompressed") as file:
            file.write(content)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    temporary.replace(target)


def publish(local: Path, path: str) -> None:
    """Copies a local file to its place, whole or not at all."""
    if not scheme_of(path):
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
        shutil.copyfile(local, temporary)
        temporary.replace(target)
        return
    with local.open("rb") as source, _beam().create(path, compression_type="uncompressed") as file:
        while chunk := source.read(_CHUNK_BYTES):
            file.write(chunk)


def list_files(directory: str) -> list[str]:
    """Returns the files of a directory in order of their names; none where there is no directory."""
    if not scheme_of(directory):
        return sorted(str(path) for path in Path(directory).glob("*") if path.is_file())
    matches = _beam().match([join(directory, "*")])[0].metadata_list
    return sorted(entry.path for entry in matches)


def remove(directory: str) -> None:
    """Removes a directory and everything in it, if it is there."""
    if not scheme_of(directory):
        shutil.rmtree(directory, ignore_errors=True)
    elif _beam().match([join(directory, "**")])[0].metadata_list:
        _beam().delete([directory])


def exists(path: str) -> bool:
    """Whether there is a file."""
    return bool(_beam().exists(path)) if scheme_of(path) else os.path.exists(path)  # noqa: PTH110


def write_json(path: str, document: dict[str, Any]) -> None:
    """Writes a JSON object."""
    write_bytes(path, json.dumps(document).encode())


def read_json(path: str) -> dict[str, Any]:
    """Reads a JSON object."""
    document: dict[str, Any] = json.loads(read_bytes(path))
    return document


def write_table(path: str, table: pa.Table) -> None:
    """Writes a table as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())


def read_table(path: str) -> pa.Table:
    """Reads a Parquet file."""
    return pq.read_table(pa.BufferReader(read_bytes(path)))


def local_parquet(path: str, folder: Path) -> str:
    """Returns a local path of a Parquet file, copied to `folder` if it is remote."""
    if not scheme_of(path):
        return path
    copy = folder / f"{uuid.uuid4().hex}.parquet"
    copy.write_bytes(read_bytes(path))
    return str(copy)


def parquet_sql(path: str) -> str:
    """Returns the SQL table expression of a local Parquet file."""
    return f"read_parquet({literal(path)})"


def table_sql(table: pa.Table, folder: Path) -> str:
    """Returns the SQL table expression of a table, by way of a file: duckdb takes no tables of old pyarrow versions."""
    file = folder / f"{uuid.uuid4().hex}.parquet"
    pq.write_table(table, file, compression="none")
    return parquet_sql(str(file))


def to_bytes(table: pa.Table) -> bytes:
    """Returns a table as an Arrow stream, to travel between workers."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_bytes(content: bytes) -> pa.Table:
    """Returns the table of an Arrow stream."""
    return pa.ipc.open_stream(content).read_all()


def streams_by(table: pa.Table, column: str) -> Iterator[tuple[int, bytes]]:
    """Yields the parts of a table that is sorted by an integer column, as Arrow streams without it."""
    key = table[column].to_numpy()
    if not len(key):
        return
    starts = np.concatenate([[0], np.flatnonzero(np.diff(key)) + 1, [len(key)]])
    rest = table.drop([column])
    for start, stop in itertools.pairwise(starts):
        yield int(key[start]), to_bytes(rest.slice(start, stop - start).combine_chunks())


def _beam() -> Any:
    from apache_beam.io.filesystems import FileSystems

    return FileSystems
