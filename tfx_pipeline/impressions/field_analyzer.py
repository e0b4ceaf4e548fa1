"""Transform's analyzer of impressions: it learns of the training rows what `tfrec.convert --impressions` learns."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_transform.beam as tft_beam

from tfrec.config.impression_schema import ImpressionSchema
from tfrec.data.impressions.fields import FIELDS_FILE, Field, FieldEncoder, FieldSet
from tfrec.data.impressions.fit_fields import FieldFit, vocabulary_name
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.errors import DataError
from tfx_pipeline.row_count import LEARNED

QUANTILES = 101
"""Quantiles of a number that is scaled by them."""

NUMBERS_FILE, COUNTS_FILE = "numbers.bin", "counts.bin"
NOTHING = b"-"
"""The line of a vocabulary without ids; no id is written like this."""

Arrays = tuple[npt.NDArray[Any], ...]


def vocabulary_names(roles: ImpressionSchema) -> list[str]:
    """Returns the names of all vocabularies, each once."""
    names = [vocabulary_name(category) for category in roles.categorical]
    names += [vocabulary_name(part) for part in roles.sequence if part.kind == "ids"]
    return list(dict.fromkeys(names))


def asset_names(roles: ImpressionSchema) -> list[str]:
    """Returns the names of the files that the analyzer writes: one per vocabulary, the numbers, counts and fields."""
    return [*(_vocabulary_file(name) for name in vocabulary_names(roles)), NUMBERS_FILE, COUNTS_FILE, FIELDS_FILE]


class FieldAnalyzer(tft_beam.experimental.PTransformAnalyzer):  # type: ignore[misc]
    """From batches of training rows to files with what was learned, as assets of the transform graph.

    The input of a batch is, in the order of the roles: texts of every category `[rows]`, the numbers float64
    `[numbers, rows]`, and of every list of ids its values `[values]` and row splits `[rows + 1]`.

    * `vocabulary-NAME.txt`: an id per line, in the order of indices, in base64 since it may hold line breaks.
    * `numbers.bin`: float64 `[numbers, 2 + 101]`: least, greatest, quantiles.
    * `counts.bin`: int64, training rows of every id, one vocabulary after another.
    * `fields.json`: the fields.

    Args:
        roles: Roles of columns without patterns.
        seed: Of the sample for quantiles.
    """

    def __init__(self, roles: ImpressionSchema, seed: int) -> None:
        super().__init__()
        self.roles = roles
        self.seed = seed

    def expand(self, rows: Any) -> Any:
        fitted = rows | "Fit" >> beam.CombineGlobally(FitRows(self.roles, self.seed))
        written = fitted | "Write" >> beam.Map(write_assets, roles=self.roles, folder=self.base_temp_dir)
        return tuple(
            written | name >> beam.Map(lambda paths, number=number: paths[number])
            for number, name in enumerate(asset_names(self.roles))
        )


class FitRows(beam.CombineFn):  # type: ignore[misc]
    """`FieldFit` over batches of rows, wherever they are."""

    def __init__(self, roles: ImpressionSchema, seed: int) -> None:
        self.roles = roles
        self.seed = seed

    def create_accumulator(self) -> FieldFit:
        return FieldFit(self.roles, seed=self.seed)

    def add_input(self, fit: FieldFit, arrays: Arrays) -> FieldFit:
        batch = self._batch(iter(arrays))
        fit.add(batch, file="transformed rows")
        LEARNED.add(batch.num_rows)
        return fit

    def merge_accumulators(self, fits: Iterable[FieldFit]) -> FieldFit:
        total = self.create_accumulator()
        for fit in fits:
            total.merge(fit)
        return total

    def extract_output(self, fit: FieldFit) -> FieldEncoder:
        return fit.finish()

    def _batch(self, arrays: Iterator[npt.NDArray[Any]]) -> pa.RecordBatch:
        columns: dict[str, pa.Array] = {role.name: _texts(next(arrays)) for role in self.roles.categorical}
        if self.roles.numeric:
            numbers = next(arrays)
            columns |= {role.name: pa.array(row) for role, row in zip(self.roles.numeric, numbers, strict=True)}
        for role in self.roles.sequence:
            if role.kind == "ids":
                values, splits = _texts(next(arrays)), pa.array(np.asarray(next(arrays), np.int64))
                columns[role.name] = pa.LargeListArray.from_arrays(splits, values)
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def write_assets(encoder: FieldEncoder, roles: ImpressionSchema, folder: str) -> list[str]:
    """Writes what was learned; returns the paths in the order of `asset_names`.

    Args:
        encoder: What was learned.
        roles: Roles of columns.
        folder: Directory to write to, made if need be.
    """
    tf.io.gfile.makedirs(folder)
    vocabularies = [encoder.vocabularies[name] for name in vocabulary_names(roles)]
    contents = [_vocabulary_lines(vocabulary) for vocabulary in vocabularies]
    numbers = [_number_row(encoder.fields.named(role.name)) for role in roles.numeric]
    counts = [count for vocabulary in vocabularies for count in vocabulary.counts[FIRST_INDEX:].tolist()]
    contents += [np.asarray(numbers, np.float64).tobytes(), np.asarray(counts, np.int64).tobytes()]
    contents.append(encoder.fields.model_dump_json().encode())
    paths = [f"{folder}/{name}" for name in asset_names(roles)]
    for path, content in zip(paths, contents, strict=True):
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content)
    return paths


def read_assets(transform_graph: str) -> FieldEncoder:
    """Returns what the analyzer of a transform graph has learned.

    Args:
        transform_graph: URI of Transform's output `transform_graph`.

    Raises:
        DataError: A file is missing.
    """
    folder = Path(transform_graph) / "transform_fn" / "assets"
    if not (folder / FIELDS_FILE).is_file():
        raise DataError("The transform graph is not of impressions.", file=folder, remedy="Run Transform again.")
    fields = FieldSet.model_validate_json((folder / FIELDS_FILE).read_bytes())
    names = dict.fromkeys(str(field.vocabulary) for field in fields.fields if field.vocabulary)
    counts = np.frombuffer((folder / COUNTS_FILE).read_bytes(), np.int64)
    found, start = {}, 0
    for name in names:
        ids = _read_ids((folder / _vocabulary_file(name)).read_bytes())
        found[name] = Vocabulary(pa.array(ids, pa.string()), counts[start : start + len(ids)])
        start += len(ids)
    return FieldEncoder(fields, found)


def _vocabulary_file(name: str) -> str:
    return f"vocabulary-{name}.txt"


def _vocabulary_lines(vocabulary: Vocabulary) -> bytes:
    lines = [encoded(str(one).encode()) for one in vocabulary.ids.tolist()]
    return b"\n".join(lines or [NOTHING]) + b"\n"


def _read_ids(content: bytes) -> list[str]:
    lines = [line for line in content.splitlines() if line != NOTHING]
    return [base64.urlsafe_b64decode(line + b"=" * (-len(line) % 4)).decode() for line in lines]


def encoded(text: bytes) -> bytes:
    """Returns a text as `tf.io.encode_base64` writes it."""
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def _number_row(field: Field | None) -> npt.NDArray[np.float64]:
    row = np.full(2 + QUANTILES, np.nan)
    if field is not None:
        row[:2] = field.low, field.high
        row[2 : 2 + len(field.quantiles)] = field.quantiles
    return row


def _texts(values: npt.NDArray[Any]) -> pa.Array:
    """Texts of a batch; the empty one is a missing one."""
    texts = pa.array(values, pa.binary()).cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), None, texts)
