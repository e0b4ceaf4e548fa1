"""The input files of a conversion, found and opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb

from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.input_files import InputFile, find_inputs
from tfrec.data.remote_inputs import fetch_remote
from tfrec.data.side_files import SideFiles
from tfrec.data.source_files import SourceFile, open_source
from tfrec.errors import DataError


def find_log(options: ConversionOptions) -> list[InputFile]:
    """Returns the files of the log, those of train first.

    Raises:
        DataError: There is none.
    """
    files = []
    given = {None: options.input, "train": options.train, "valid": options.valid, "test": options.test}
    for split, patterns in given.items():
        files += find_inputs(patterns, split=split, file_format=options.format)
    if not files:
        raise DataError("No input.", remedy="Name files with --input, or with --train, --valid and --test.")
    return files


def find_sides(options: ConversionOptions) -> dict[SideFiles, list[InputFile]]:
    """Returns the files of items and of users, where there are any.

    Raises:
        DataError: There is no such file, or it is empty.
    """
    return {side: find_inputs(side.files, split=None, file_format=None) for side in SideFiles.given(options)}


def open_files(
    files: list[InputFile],
    reader: duckdb.DuckDBPyConnection,
    folder: Path,
    report: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[SourceFile]:
    """Returns the files with their columns; remote ones are copied to `folder` first.

    Args:
        files: Input files.
        reader: A connection, to read Parquet schemas with.
        folder: Where copies go.
        report: Called as `report(stage, done, total)`.
    """
    locations = [file.path for file in files]
    copies = {}
    for number, file in enumerate(files):
        if file.remote is not None:
            ending = ".gz" if file.path.lower().endswith(".gz") else ""
            copies[number] = folder / f"{number:05d}.{file.format}{ending}"
            locations[number] = str(copies[number])
    remote = [files[number].remote for number in copies]
    fetch_remote(
        [file for file in remote if file is not None],
        list(copies.values()),
        lambda done: report("fetching", done, len(copies)) if copies else None,
    )
    return [open_source(reader, file, location) for file, location in zip(files, locations, strict=True)]
