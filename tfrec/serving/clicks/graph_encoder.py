"""Raw columns to the batches of a click model, in a graph of stock operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfrec.data.impressions.fields import Field, FieldEncoder
from tfrec.serving.clicks.graph_scaling import scaled
from tfrec.serving.clicks.input_types import InputColumn
from tfrec.serving.client.click_inputs import MISSING_NUMBER
from tfrec.serving.id_table import IdTable
from tfrec.serving.untracked import Untracked

_WHOLE = r"^([+-]?[0-9]+)\.0+$"
_SPACE = r"[\t-\r\x1c-\x1f\x{85}\p{Z}]"  # what arrow calls white space
_MOST_DIGITS = 1e10  # arrow writes larger floats with an exponent


class GraphEncoder(tf.Module):
    """What `FieldEncoder.encode` and `batch_of_columns` do with rows of a file, for tensors.

    Args:
        encoder: Fitted features.
        columns: How they come in.
        max_length: Values of lists that the model reads. Default: all that the features keep.
    """

    def __init__(self, encoder: FieldEncoder, columns: Sequence[InputColumn], max_length: int | None = None) -> None:
        super().__init__(name="encoder")
        self._columns = Untracked(tuple(columns))
        self._max_length = max_length
        self.tables = {
            name: IdTable(vocabulary, name=f"vocabulary_{number}")
            for number, (name, vocabulary) in enumerate(sorted(encoder.vocabularies.items()))
        }

    @property
    def columns(self) -> tuple[InputColumn, ...]:
        """How the features come in."""
        columns: tuple[InputColumn, ...] = self._columns.value
        return columns

    def __call__(self, raw: Mapping[str, tf.Tensor | tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        """Encodes rows.

        Args:
            raw: By column: values `[batch]`, or ragged lists of them, in the types of the columns; numbers in any type.
                Missing are the empty text, `MISSING_NUMBER` among int64, and not-a-number.

        Returns:
            A batch as of `impression_batches`, without a label.
        """
        batch: dict[str, tf.Tensor] = {}
        numbers = [column.field for column in self.columns if column.field.kind == "number"]
        if numbers:
            values = scaled(numbers, tf.stack([_floats(raw[field.name]) for field in numbers]))
            batch |= {field.name: row for field, row in zip(numbers, tf.unstack(values), strict=True)}
        for column in self.columns:
            field = column.field
            if field.kind == "category":
                batch[field.name] = self._table(field).lookup(_id_texts(raw[field.name]))
            elif field.is_list:
                batch |= self._list(field, raw[field.name])
        return batch

    def split(self, field: Field, texts: tf.Tensor) -> tf.RaggedTensor:
        """Takes lists held in text `[batch]` apart; the empty text is an empty list."""
        tokens = self._kept(field, tf.strings.split(texts, field.separator))
        empty, lengths = tf.equal(texts, ""), tf.cast(tokens.row_lengths(), tf.int32)
        flat = tf.boolean_mask(tokens.flat_values, ~tf.repeat(empty, lengths))
        return tf.RaggedTensor.from_row_lengths(_trimmed(flat), tf.where(empty, 0, lengths), validate=False)

    def _list(self, field: Field, lists: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        lists = self._kept(field, lists)
        flat = lists.flat_values
        if field.kind == "ids":
            texts = tf.strings.as_string(flat) if flat.dtype.is_integer else flat
            values = self._table(field).lookup(texts)
        else:
            values = scaled([field], _floats(flat)[tf.newaxis])[0]
        return {
            field.name: lists.with_flat_values(values).to_tensor(),
            f"{field.name}/length": tf.cast(lists.row_lengths(), tf.int32),
        }

    def _kept(self, field: Field, lists: tf.RaggedTensor) -> tf.RaggedTensor:
        most = field.max_length if self._max_length is None else min(self._max_length, field.max_length)
        return lists[:, -most:] if field.keep == "last" else lists[:, :most]

    def _table(self, field: Field) -> IdTable:
        table: IdTable = self.tables[str(field.vocabulary)]
        return table


def _floats(values: tf.Tensor) -> tf.Tensor:
    """Numbers of any type as float64, not-a-number where missing."""
    if values.dtype == tf.string:
        return tf.strings.to_number(tf.where(tf.equal(values, ""), "nan", values), tf.float64)
    if values.dtype.is_integer:
        nothing = tf.constant(float("nan"), tf.float64)
        return tf.where(tf.equal(values, MISSING_NUMBER), nothing, tf.cast(values, tf.float64))
    return tf.cast(values, tf.float64)


def _id_texts(values: tf.Tensor) -> tf.Tensor:
    """Ids of any type as the text that vocabularies hold: 1, 1.0 and "1.0" are "1"."""
    if values.dtype == tf.string:
        return tf.strings.regex_replace(values, _WHOLE, r"\1", replace_global=False)
    if values.dtype.is_integer:
        return tf.strings.as_string(values)
    whole = tf.equal(values, tf.round(values)) & (tf.abs(values) < _MOST_DIGITS)
    return tf.where(whole, tf.strings.as_string(tf.cast(tf.where(whole, values, 0), tf.int64)), "")


def _trimmed(tokens: tf.Tensor) -> tf.Tensor:
    """Tokens without white space around them; texts that have none, as most, are only read once."""
    return tf.cond(
        tf.reduce_any(tf.strings.regex_full_match(tokens, f"(?s)(?:{_SPACE}.*|.*{_SPACE})")),
        lambda: tf.strings.regex_replace(tokens, f"^{_SPACE}+|{_SPACE}+$", ""),
        lambda: tokens,
    )
