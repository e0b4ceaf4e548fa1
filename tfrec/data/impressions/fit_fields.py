"""What is learned of the training rows: vocabularies and scalings, in one streaming pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfrec.config.impression_schema import CategoricalColumn, ImpressionSchema, NumericColumn, SequenceColumn
from tfrec.data.impressions.column_values import Rows, as_numbers, id_texts, read_as, read_lists
from tfrec.data.impressions.fields import Field, FieldEncoder, FieldSet
from tfrec.data.impressions.token_lists import TokenLists
from tfrec.data.vocabulary import Vocabulary

_QUANTILES = 101
_SAMPLE = 20_000
_DENSE = 1 << 20
_MERGE_ROWS = 1 << 20


class IdCounts:
    """Counts ids without holding the rows: small whole numbers in an array, others in arrow tables.

    Example:
        >>> counts = IdCounts()
        >>> counts.add_texts(pa.array(["b", "a", None, "b"]))
        >>> counts.vocabulary(1).ids.tolist()
        ['b', 'a']
    """

    def __init__(self) -> None:
        self._dense: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._tables: list[pa.Table] = []
        self._rows = 0

    def add_texts(self, texts: pa.Array, counts: pa.Array | None = None) -> None:
        """Counts ids given as text, once each or as often as `counts` says; missing and empty ones are none."""
        ones = pa.array(np.ones(len(texts), np.int64)) if counts is None else counts
        self._tables.append(pa.table({"id": texts.cast(pa.string()), "count": ones}))
        self._rows += len(texts)
        if self._rows > _MERGE_ROWS:
            self._merge()

    def add_column(self, column: pa.Array) -> None:
        """Counts a column of ids of any type."""
        found = column.value_counts()
        self.add_texts(id_texts(found.field(0)), found.field(1).cast(pa.int64()))

    def add_lists(self, lists: TokenLists) -> None:
        """Counts the ids of lists."""
        numbers = lists.numbers
        if numbers is None or (len(numbers) and (numbers.min() < 0 or numbers.max() >= _DENSE)):
            found = lists.as_texts().value_counts()
            self.add_texts(found.field(0), found.field(1).cast(pa.int64()))
            return
        counts = np.bincount(numbers, minlength=len(self._dense))
        counts[: len(self._dense)] += self._dense
        self._dense = counts

    def merge(self, other: IdCounts) -> None:
        """Adds what was counted elsewhere."""
        longer, shorter = sorted((self._dense, other._dense), key=len, reverse=True)
        self._dense = longer.copy()
        self._dense[: len(shorter)] += shorter
        self._tables += other._tables
        self._rows += other._rows
        if self._rows > _MERGE_ROWS:
            self._merge()

    def vocabulary(self, min_count: int) -> Vocabulary:
        """Returns the ids with at least `min_count` rows, by descending count, ties by text."""
        used = np.flatnonzero(self._dense)
        if len(used):
            self.add_texts(pa.array(used).cast(pa.string()), pa.array(self._dense[used]))
            self._dense = np.zeros(0, np.int64)
        table = self._merge()
        keep = (table["count"].to_numpy() >= min_count) & np.asarray(
            [text not in (None, "") for text in table["id"].to_pylist()], bool
        )
        table = table.filter(pa.array(keep)).sort_by([("count", "descending"), ("id", "ascending")])
        ids = table["id"].combine_chunks()
        ids = (
            ids
            if isinstance(ids, pa.Array)
            else pa.concat_arrays(ids.chunks)
            if ids.num_chunks
            else pa.array([], pa.string())
        )
        return Vocabulary(ids, table["count"].to_numpy())

    def _merge(self) -> pa.Table:
        if not self._tables:
            return pa.table({"id": pa.array([], pa.string()), "count": pa.array([], pa.int64())})
        merged = pa.concat_tables(self._tables).group_by("id").aggregate([("count", "sum")])
        merged = pa.table({"id": merged["id"], "count": merged["count_sum"]})
        self._tables, self._rows = [merged], merged.num_rows
        return merged


@dataclass
class _Number:
    """Range of a number and, for quantiles, an even sample of its values."""

    column: NumericColumn
    scaling: str
    low: float = float("inf")
    high: float = float("-inf")
    sample: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 0)))

    def add(self, values: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
        known = values[~np.isnan(values)]
        if not len(known):
            return
        self.low, self.high = min(self.low, float(known.min())), max(self.high, float(known.max()))
        if self.scaling == "quantile":  # the values with the smallest random keys are a sample without replacement
            self._draw(np.stack([rng.random(len(known)), known]))

    def merge(self, other: _Number) -> None:
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self._draw(other.sample)

    def _draw(self, values: npt.NDArray[np.float64]) -> None:
        self.sample = np.concatenate([self.sample, values], axis=1)
        if self.sample.shape[1] > 2 * _SAMPLE:
            self.sample = self.sample[:, np.argpartition(self.sample[0], _SAMPLE)[:_SAMPLE]]

    def settings(self) -> dict[str, Any]:
        """The scaling, as fields of `Field`."""
        known = self.low <= self.high
        quantiles: tuple[float, ...] = ()
        if self.scaling == "quantile" and known:
            quantiles = tuple(np.quantile(self.sample[1], np.linspace(0.0, 1.0, _QUANTILES)).tolist())
        low, high = (self.low, self.high) if known else (0.0, 1.0)
        return {"scaling": self.scaling, "low": low, "high": high, "quantiles": quantiles}


class FieldFit:
    """Accumulates what the fields need to know of the training rows.

    Args:
        schema: Roles of columns; patterns are expanded already.
        seed: Of the sample for quantiles.
    """

    def __init__(self, schema: ImpressionSchema, *, seed: int = 0) -> None:
        self.schema = schema
        self._rng = np.random.default_rng(seed)
        self._counts: dict[str, IdCounts] = {}
        self._min_counts: dict[str, int] = {}
        columns: list[CategoricalColumn | SequenceColumn] = [*schema.categorical]
        for column in [*columns, *(part for part in schema.sequence if part.kind == "ids")]:
            name = vocabulary_name(column)
            self._counts.setdefault(name, IdCounts())
            wanted = schema.min_count if column.min_count is None else column.min_count
            self._min_counts[name] = min(wanted, self._min_counts.get(name, wanted))
        self._numbers = {column.name: _Number(column, column.scaling or schema.scaling) for column in schema.numeric}

    def add(self, batch: pa.RecordBatch, *, file: str, rows: Rows | None = None) -> None:
        """Takes some training rows into account.

        Args:
            batch: The rows.
            file: Name for error messages.
            rows: Numbers of the rows in that file, for the same.

        Raises:
            DataError: A column cannot be read as what it is.
        """
        schema = self.schema

        def column_of(name: str) -> pa.Array:
            return batch.column(batch.schema.get_field_index(name))

        for category in schema.categorical:
            column = column_of(category.name)
            with read_as("ids", column, category.name, file):
                self._counts[vocabulary_name(category)].add_column(column)
        for name, number in self._numbers.items():
            number.add(as_numbers(column_of(name), name, file, rows), self._rng)
        for sequence in schema.sequence:
            if sequence.kind == "ids":
                lists = read_lists(
                    column_of(sequence.name),
                    sequence.separator,
                    sequence.max_length,
                    sequence.keep,
                    sequence.name,
                    file,
                )
                self._counts[vocabulary_name(sequence)].add_lists(lists)

    def merge(self, other: FieldFit) -> None:
        """Adds what another fit of the same schema learned of other rows.

        Vocabularies and ranges are those of one fit of all rows; so are quantiles up to 20,000 rows, beyond which they
        are of a sample.
        """
        for name, counts in other._counts.items():
            self._counts[name].merge(counts)
        for name, number in other._numbers.items():
            self._numbers[name].merge(number)

    def finish(self) -> FieldEncoder:
        """Returns the fitted features."""
        vocabularies = {name: counts.vocabulary(self._min_counts[name]) for name, counts in self._counts.items()}
        schema, fields = self.schema, []
        sizes = {name: vocabulary.size for name, vocabulary in vocabularies.items()}
        for category in schema.categorical:
            name = vocabulary_name(category)
            fields.append(Field(name=category.name, kind="category", vocabulary=name, size=sizes[name]))
        for name, number in self._numbers.items():
            fields.append(Field(name=name, kind="number", missing=number.column.missing, **number.settings()))
        for sequence in schema.sequence:
            fields.append(self._sequence(sequence, sizes))
        return FieldEncoder(FieldSet(label=schema.label, id=schema.id, fields=tuple(fields)), vocabularies)

    def _sequence(self, sequence: SequenceColumn, sizes: Mapping[str, int]) -> Field:
        settings: dict[str, Any] = {"separator": sequence.separator, "max_length": sequence.max_length}
        settings["keep"] = sequence.keep
        if sequence.kind == "numbers":
            if sequence.scaled_as is not None:
                settings.update(self._numbers[sequence.scaled_as].settings(), scaled_as=sequence.scaled_as)
            return Field(name=sequence.name, kind="numbers", **settings)
        name = vocabulary_name(sequence)
        return Field(name=sequence.name, kind="ids", vocabulary=name, size=sizes[name], **settings)


def vocabulary_name(column: CategoricalColumn | SequenceColumn) -> str:
    """Returns the name of the vocabulary of a column: its own name unless it shares one."""
    return column.vocabulary or column.name


Progress = Callable[[str, int, int], None]
