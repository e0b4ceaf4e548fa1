"""Fitted features: what was learned of the training rows, and how any row becomes numbers with it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from tfrec.data.example_encoder import FeatureColumn
from tfrec.data.impressions.column_values import (
    Floats,
    Rows,
    as_numbers,
    id_texts,
    label_column,
    read_as,
    read_lists,
)
from tfrec.data.schema import DatasetSchema, FeatureSpec
from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, Vocabulary
from tfrec.errors import DataError
from tfrec.files import atomic_write

FIELDS_FILE = "fields.json"
_DIRECT = 1 << 20


class Field(BaseModel):
    """One feature.

    Attributes:
        name: Column and feature name.
        kind: `category` (one index per row), `number`, `ids` or `numbers` (lists).
        vocabulary: Vocabulary of its indices.
        size: Indices of that vocabulary, with padding and out of vocabulary.
        scaling: How a number is scaled: `none`, `min_max`, or `quantile` by its place among `quantiles`.
        low: Smallest training value, where scaled by `min_max`.
        high: Largest training value.
        quantiles: Training values at equal distances of rank.
        missing: What a missing number counts as.
        separator: Between the values of a list held in text.
        max_length: Longest list that is kept.
        keep: Which end of a longer list is kept.
        scaled_as: Number whose scaling, and in models whose vector, a list of numbers shares.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["category", "number", "ids", "numbers"]
    vocabulary: str | None = None
    size: int = 0
    scaling: Literal["min_max", "quantile", "none"] = "none"
    low: float = 0.0
    high: float = 1.0
    quantiles: tuple[float, ...] = ()
    missing: float = 0.0
    separator: str = ","
    max_length: int = 0
    keep: Literal["last", "first"] = "last"
    scaled_as: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether a row has any number of values."""
        return self.kind in ("ids", "numbers")

    def scale(self, values: Floats) -> Floats:
        """Scales numbers `[...]` with what the training rows had; values beyond theirs leave [0, 1] with `min_max`."""
        values = np.where(np.isnan(values), self.missing, values)
        if self.scaling == "min_max":
            return (values - self.low) / ((self.high - self.low) or 1.0)
        if self.scaling == "quantile" and len(self.quantiles) > 1:
            return np.interp(values, self.quantiles, np.linspace(0.0, 1.0, len(self.quantiles)))
        return values


class FieldSet(BaseModel):
    """The features of a dataset, in the order of its schema file.

    Attributes:
        label: Column of the outcome.
        id: Column that names a row in files to be predicted.
        fields: The features.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    id: str | None = None
    fields: tuple[Field, ...]

    def named(self, name: str) -> Field | None:
        """Returns the feature of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)

    @property
    def categories(self) -> list[str]:
        """Names of the single ids, which rows can be grouped by."""
        return [field.name for field in self.fields if field.kind == "category"]

    @property
    def columns(self) -> list[str]:
        """Columns that the features are made of."""
        return [field.name for field in self.fields]


class FieldEncoder:
    """Turns rows into features with fitted fields.

    Args:
        fields: Fitted features.
        vocabularies: By name.

    Example:
        >>> encoder = FieldEncoder.load(path)  # doctest: +SKIP
        >>> encoder.encode(batch, file="test.parquet")["hour"].values  # doctest: +SKIP
        array([7, 2, 1])
    """

    def __init__(self, fields: FieldSet, vocabularies: dict[str, Vocabulary]) -> None:
        self.fields = fields
        self.vocabularies = vocabularies
        self._direct = {
            field.vocabulary: _direct_table(vocabularies[field.vocabulary])
            for field in fields.fields
            if field.kind == "ids" and field.vocabulary
        }

    @property
    def schema(self) -> DatasetSchema:
        """The features as the examples of a dataset hold them."""
        features = []
        for field in self.fields.fields:
            vocabulary = self.vocabularies[field.vocabulary] if field.vocabulary else None
            features.append(
                FeatureSpec(
                    name=field.name,
                    dtype="float32" if vocabulary is None else "int64",
                    shape="list" if field.is_list else "scalar",
                    vocabulary=field.vocabulary,
                    vocabulary_size=vocabulary.size if vocabulary else None,
                    vocabulary_sha256=vocabulary.content_hash if vocabulary else None,
                    id_type=vocabulary.id_type if vocabulary else None,
                )
            )
        features.append(FeatureSpec(name=self.fields.label, dtype="float32", shape="scalar"))
        return DatasetSchema(features=features)

    @property
    def hash(self) -> str:
        """sha256 over the features, scalings and vocabularies."""
        text = self.fields.model_dump_json() + self.schema.hash
        return hashlib.sha256(text.encode()).hexdigest()

    def encode(self, batch: pa.RecordBatch, *, file: str, rows: Rows | None = None) -> dict[str, FeatureColumn]:
        """Encodes the features of some rows.

        Args:
            batch: Rows with all columns of the fields.
            file: Name for error messages.
            rows: Numbers of the rows in that file, for the same.

        Returns:
            By name: int64 indices, float32 numbers, or lists of them.

        Raises:
            DataError: A column cannot be read as what it is.
        """
        single = np.arange(batch.num_rows + 1, dtype=np.int64)
        encoded = {}
        for field in self.fields.fields:
            column = batch.column(batch.schema.get_field_index(field.name))
            if field.kind == "category":
                with read_as("ids", column, field.name, file):
                    encoded[field.name] = FeatureColumn(field.name, self._indices(field, column), single)
            elif field.kind == "number":
                values = field.scale(as_numbers(column, field.name, file, rows))
                encoded[field.name] = FeatureColumn(field.name, values.astype(np.float32), single)
            else:
                encoded[field.name] = self._list(field, column, file, rows)
        return encoded

    def labels(self, batch: pa.RecordBatch, *, file: str, rows: Rows | None = None) -> FeatureColumn:
        """Returns the label of some rows, 0 or 1.

        Raises:
            DataError: A label is missing or something else.
        """
        name = self.fields.label
        return label_column(batch.column(batch.schema.get_field_index(name)), name, file, rows)

    def _indices(self, field: Field, column: pa.Array) -> npt.NDArray[np.int64]:
        encoded = column.dictionary_encode()
        vocabulary = self.vocabularies[str(field.vocabulary)]
        table = vocabulary.lookup(id_texts(encoded.dictionary)).astype(np.int64)
        positions = pc.fill_null(encoded.indices, len(table)).to_numpy(zero_copy_only=False)
        indices: npt.NDArray[np.int64] = np.append(table, OOV_INDEX)[positions]
        return indices

    def _list(self, field: Field, column: pa.Array, file: str, rows: Rows | None) -> FeatureColumn:
        lists = read_lists(column, field.separator, field.max_length, field.keep, field.name, file)
        if field.kind == "numbers":
            values: npt.NDArray[Any] | None = lists.numbers
            if values is None:
                rows = None if rows is None else np.repeat(rows, np.diff(lists.offsets))  # of the tokens
                values = as_numbers(lists.as_texts(), field.name, file, rows)
            return FeatureColumn(field.name, field.scale(np.asarray(values, float)).astype(np.float32), lists.offsets)
        table = self._direct[str(field.vocabulary)]
        if table is not None and lists.numbers is not None:
            inside = (
                lists.numbers if lists.numbers.min(initial=0) >= 0 else np.where(lists.numbers < 0, 0, lists.numbers)
            )
            indices = table[np.minimum(inside, len(table) - 1)]
            if inside is not lists.numbers:
                indices = np.where(lists.numbers < 0, OOV_INDEX, indices)
        else:
            indices = self.vocabularies[str(field.vocabulary)].lookup(lists.as_texts()).astype(np.int64)
        return FeatureColumn(field.name, indices, lists.offsets)

    def save(self, folder: Path) -> None:
        """Writes `fields.json` and `vocab/` into a directory, for `load`."""
        (folder / "vocab").mkdir(parents=True, exist_ok=True)
        for name, vocabulary in self.vocabularies.items():
            (folder / "vocab" / f"{name}.parquet").write_bytes(vocabulary.to_parquet())
        with atomic_write(folder / FIELDS_FILE) as file:
            file.write(self.fields.model_dump_json(indent=1))

    @classmethod
    def load(cls, folder: Path) -> FieldEncoder:
        """Reads what `save` wrote.

        Raises:
            DataError: A file is missing or damaged.
        """
        path = folder / FIELDS_FILE
        try:
            fields = FieldSet.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise DataError("The file is missing or damaged.", file=path, remedy="Convert the data again.") from error
        vocabularies = {}
        for name in {field.vocabulary for field in fields.fields if field.vocabulary}:
            file = folder / "vocab" / f"{name}.parquet"
            if not file.is_file():
                raise DataError("The vocabulary is missing.", file=file, remedy="Convert the data again.")
            vocabularies[name] = Vocabulary.from_parquet(file.read_bytes(), file=str(file))
        return cls(fields, vocabularies)


def _direct_table(vocabulary: Vocabulary) -> npt.NDArray[np.int64] | None:
    """Index by number, where all ids are small whole numbers; the last entry stands for all larger ones."""
    texts = (
        pa.array(vocabulary.ids.astype(str), pa.string())
        if vocabulary.size > FIRST_INDEX
        else pa.array([], pa.string())
    )
    plain = pc.match_substring_regex(texts, r"^(0|[1-9][0-9]{0,6})$")
    if not pc.all(plain, min_count=0).as_py():
        return None
    numbers = pc.cast(texts, pa.int64()).to_numpy()
    if numbers.max(initial=0) >= _DIRECT:
        return None
    table = np.full(int(numbers.max(initial=0)) + 2, OOV_INDEX, np.int64)
    table[numbers] = np.arange(FIRST_INDEX, vocabulary.size)
    return table
