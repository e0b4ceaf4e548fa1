"""Predictions in the order of a sample file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from tfrec.errors import DataError
from tfrec.files import atomic_write


def check_sample(sample: Path, rows: int) -> pa.Table:
    """Reads a sample file, as text.

    Raises:
        DataError: It cannot be read, has fewer than two columns, or another number of rows than the input.
    """
    wanted = _read(sample)
    if wanted.num_columns < 2:
        raise DataError("A sample has two columns, id and probability.", file=sample)
    if wanted.num_rows != rows:
        raise DataError(
            f"The sample has {wanted.num_rows:,} rows, the input {rows:,}.",
            file=sample,
            remedy="Predict the file that the sample belongs to.",
        )
    return wanted


def order_as_sample(path: Path, sample: Path, output: Path) -> None:
    """Writes the rows of a CSV file of predictions in the order of a sample file; ids and numbers are in memory.

    Args:
        path: Predictions: id, probability.
        sample: CSV file whose first column has the ids; its header is taken over.
        output: CSV file to write, under a temporary name until it is whole.

    Raises:
        DataError: The ids of the two files are not the same, or one occurs twice.
    """
    found = _read(path)
    wanted = check_sample(sample, found.num_rows)
    names = wanted.column_names[:2]
    ids = pa.concat_arrays(found.column(0).chunks) if found.num_rows else pa.array([], pa.string())
    if len(pc.unique(ids)) != len(ids):
        raise DataError("An id occurs twice.", file=path, column=found.column_names[0], remedy="Correct the input.")
    place = pc.index_in(wanted.column(0), value_set=ids)
    if place.null_count:
        row = pc.index(pc.is_null(place), True).as_py()
        raise DataError(
            f"The id `{wanted.column(0)[row]}` is not in the input.",
            file=sample,
            column=names[0],
            row=row + 1,
            remedy="Predict the file that the sample belongs to.",
        )
    if len(pc.unique(place)) != len(place):
        raise DataError("An id occurs twice.", file=sample, column=names[0], remedy="Correct the sample.")
    ordered = pa.table({names[0]: wanted.column(0), names[1]: found.column(1).take(place)})
    with atomic_write(output, "wb") as file:
        ordered.to_pandas().to_csv(file, index=False, lineterminator="\n")


def _read(path: Path) -> pa.Table:
    try:
        with pa_csv.open_csv(path) as reader:
            names = reader.schema.names
        types = {name: pa.string() for name in names}  # text in, text out: nothing is rounded
        return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=types))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"The file cannot be read: {str(error).splitlines()[0]}", file=path) from error
