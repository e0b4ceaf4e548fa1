"""Vectors in files: `vectors.npy`, `ids.parquet` and `vectors.json`."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from tfrec.errors import ConfigError, DataError
from tfrec.files import flush_directory, flush_tree, write_json
from tfrec.stores.vector_description import VectorDescription

_VECTORS, _IDS, _DESCRIPTION = "vectors.npy", "ids.parquet", "vectors.json"
_GROUP_ROWS = 16_384


class VectorDirectory:
    """Reads vectors that `VectorDirectoryWriter` wrote, piece by piece; a `VectorSource`.

    Args:
        path: The directory.

    Raises:
        DataError: There are no vectors, or the files do not fit together.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        file = self.path / _DESCRIPTION
        if not file.is_file():
            raise DataError(
                "There are no vectors here.", file=self.path, remedy="Write them with tfrec.publish --to DIR."
            )
        try:
            self._description = VectorDescription.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise DataError(f"Not a description of vectors: {error.errors()[0]['msg']}.", file=file) from error
        with (self.path / _VECTORS).open("rb") as vectors:
            version = np.lib.format.read_magic(vectors)
            if version != (1, 0):
                raise DataError("Not written by this package.", file=self.path / _VECTORS)
            shape, _, dtype = np.lib.format.read_array_header_1_0(vectors)
            self._start = vectors.tell()
        self._groups = pq.ParquetFile(self.path / _IDS)
        wanted = (self._description.count, self._description.dim)
        if shape != wanted or dtype != np.dtype("<f4") or self._groups.metadata.num_rows != wanted[0]:
            raise DataError(
                f"The vectors are {dtype} {shape}, with {self._groups.metadata.num_rows} ids; expected: float32 "
                f"{wanted}.",
                file=self.path,
                remedy="Write them again.",
            )

    @property
    def description(self) -> VectorDescription:
        return self._description

    def ids(self, start: int, stop: int) -> pa.Array:
        first, last = start // _GROUP_ROWS, max(start, stop - 1) // _GROUP_ROWS
        if start >= stop:
            return pa.array([], pa.int64() if self._description.id_type == "int64" else pa.string())
        table = self._groups.read_row_groups(list(range(first, last + 1))).combine_chunks()
        return table["id"].chunk(0).slice(start - first * _GROUP_ROWS, stop - start)

    def vectors(self, start: int, stop: int) -> NDArray[np.float32]:
        dim = self._description.dim
        # Read, not mapped: mapped pages would count as memory of the process.
        return np.fromfile(
            self.path / _VECTORS, "<f4", (stop - start) * dim, offset=self._start + 4 * start * dim
        ).reshape(stop - start, dim)


class VectorDirectoryWriter:
    """Writes vectors to a directory that appears when it is whole; a context manager.

    Vectors that are replaced stay until the new ones are whole and on the disk. For an instant they are called
    `<path>.old`; what a crash in that instant left is called by its name again by the next writer.

    Args:
        path: The directory; `<path>.partial` is used meanwhile.
        description: What is written; `count` must be right.
        overwrite: Replace a directory of vectors.

    Raises:
        ConfigError: The directory exists and may not be replaced.
    """

    def __init__(self, path: str | Path, description: VectorDescription, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._old = self.path.with_name(self.path.name + ".old")
        self._recover()
        if self.path.exists():
            if not overwrite:
                raise ConfigError(f"`{self.path}` exists.", remedy="Name another directory, or pass --overwrite.")
            if not _is_replaceable(self.path):
                raise ConfigError(f"`{self.path}` holds no vectors: it is not replaced.", remedy="Name another one.")
        self._partial = self.path.with_name(self.path.name + ".partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._description = description
        self._rows = 0
        self._pending: list[pa.Array] = []
        self._file = (self._partial / _VECTORS).open("wb")
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": "<f4", "fortran_order": False, "shape": (description.count, description.dim)}
        )
        schema = pa.schema([("id", pa.int64() if description.id_type == "int64" else pa.string())])
        self._schema = schema
        self._ids = pq.ParquetWriter(self._partial / _IDS, schema, compression="zstd")

    def write(self, ids: Any, vectors: NDArray[Any]) -> None:
        """Appends vectors `[n, dim]` and their raw ids `[n]`."""
        array = ids if isinstance(ids, pa.Array) else pa.array(ids, self._schema.field("id").type)
        if len(array) != len(vectors):
            raise DataError(f"There are {len(array)} ids for {len(vectors)} vectors.")
        self._file.write(np.ascontiguousarray(vectors, "<f4").data)
        self._rows += len(array)
        self._pending.append(array)
        self._write_ids(_GROUP_ROWS)

    def __enter__(self) -> VectorDirectoryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        try:
            if error is None:
                self._write_ids(1)
            self._ids.close()
            if error is None:
                self._finish()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _write_ids(self, at_least: int) -> None:
        while sum(map(len, self._pending)) >= at_least:
            joined = pa.concat_arrays([array.cast(self._schema.field("id").type) for array in self._pending])
            group, rest = joined[:_GROUP_ROWS], joined[_GROUP_ROWS:]
            self._ids.write_table(pa.table([group], schema=self._schema), row_group_size=_GROUP_ROWS)
            self._pending = [rest] if len(rest) else []

    def _finish(self) -> None:
        if self._rows != self._description.count:
            raise DataError(f"{self._rows:,} vectors were written, {self._description.count:,} were announced.")
        write_json(self._partial / _DESCRIPTION, self._description.model_dump())
        flush_tree(self._partial)
        if self.path.exists():
            self.path.rename(self._old)
        self._partial.rename(self.path)
        flush_directory(self.path.parent)
        shutil.rmtree(self._old, ignore_errors=True)

    def _recover(self) -> None:
        """Ends what a crash left between two names."""
        if not self._old.exists():
            return
        if not _is_replaceable(self._old):
            raise ConfigError(
                f"`{self._old}` holds no vectors, and its name is needed for a moment.",
                remedy="Name another directory.",
            )
        if self.path.exists():
            shutil.rmtree(self._old)
        else:
            self._old.rename(self.path)


def _is_replaceable(path: Path) -> bool:
    """Whether a path is an empty directory or one of vectors."""
    return path.is_dir() and ((path / _DESCRIPTION).is_file() or not any(path.iterdir()))
