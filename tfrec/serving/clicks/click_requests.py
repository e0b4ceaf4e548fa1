"""Requests that show whether the export of a click model answers as the model, with the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.data.impressions.fields import Field
from tfrec.serving.clicks.input_types import InputColumn
from tfrec.serving.clicks.offline_click_answers import OfflineClickAnswers, Row
from tfrec.serving.client.click_inputs import LENGTH
from tfrec.serving.golden_requests import Request, example_input

_TYPICAL = 6
_LONGER = 7
_LENGTHS = (1, 3, 0, 2, 5, 4)
_UNKNOWN = "no such value"


class ClickRequests:
    """Composes requests to every signature of the export of a click model.

    The rows are made of what the model knows of its columns: no data are needed, and none get into the export.

    Args:
        answers: The model, offline.
        columns: The inputs of the export.
        signatures: Names of the signatures.
    """

    def __init__(self, answers: OfflineClickAnswers, columns: Sequence[InputColumn], signatures: Sequence[str]) -> None:
        self._answers = answers
        self._columns = columns
        self._signatures = signatures
        self._vocabularies = answers.encoder.vocabularies

    def compose(self) -> list[Request]:
        """Returns about ten requests with the answers of the model."""
        typical = [self._typical_row(place) for place in range(_TYPICAL)]
        missing = self._row(lambda _: None)
        unknown = self._row(self._unknown)
        long = self._row(self._long)
        rows = [*typical, missing, unknown, long]
        odd = self._row(self._odd)
        asked: list[tuple[str, str, list[Row]]] = [
            ("rows of all kinds", "serving_default", rows),
            ("one row", "score", typical[:1]),
            ("rows of all kinds", "score", rows),
            ("everything is missing", "score", [missing]),
            ("unknown values, numbers beyond those of the training", "score", [unknown]),
            ("a list that is too long", "score", [long, missing]),
            ("white space, whole numbers written as decimals", "score", [odd]),
            ("rows of all kinds", "score_lists", rows),
            ("empty lists", "score_lists", [missing]),
            ("rows of all kinds", "serialized", rows),
        ]
        return [
            {"name": name, "signature": signature, "inputs": self._inputs(signature, chosen)}
            | {"outputs": self._answers.answer(chosen)}
            for name, signature, chosen in asked
            if signature in self._signatures
        ]

    # ---- rows -----------------------------------------------------------------------------------------------------

    def _row(self, value_of: Callable[[InputColumn], Any]) -> Row:
        return {column.field.name: value_of(column) for column in self._columns}

    def _typical_row(self, place: int) -> Row:
        return self._row(lambda column: self._typical(column, place))

    def _typical(self, column: InputColumn, place: int) -> Any:
        field = column.field
        if field.kind == "category":
            return self._known(field, 7 * place)
        if field.kind == "number":
            return _number(column, (place + 0.5) / _TYPICAL)
        return self._joined(field, [self._token(column, 3 * place + step) for step in range(_LENGTHS[place])])

    def _unknown(self, column: InputColumn) -> Any:
        field = column.field
        if field.kind == "category":
            return _UNKNOWN
        if field.kind == "number":
            return _number(column, 1.75)
        strange = "-7" if field.kind == "numbers" or column.type == "int64" else _UNKNOWN
        return self._joined(field, [strange, self._token(column, 1)])

    def _long(self, column: InputColumn) -> Any:
        if not column.field.is_list:
            return self._typical(column, 1)
        return self._joined(column.field, [self._token(column, n) for n in range(column.field.max_length + _LONGER)])

    def _odd(self, column: InputColumn) -> Any:
        value = self._typical(column, 3)
        field = column.field
        if field.is_list:
            return self._joined(field, [f" {token}\t" for token in value.split(field.separator)])
        decimal = field.kind == "category" and column.type == "text" and str(value).isdecimal()
        return f"{value}.00" if decimal else value

    def _known(self, field: Field, place: int) -> str | None:
        ids = self._vocabularies[str(field.vocabulary)].ids
        return str(ids[place % len(ids)]) if len(ids) else None

    def _token(self, column: InputColumn, place: int) -> str:
        if column.field.kind == "ids":
            return self._known(column.field, place) or "0"
        return repr(_number(column, place % 5 / 4))

    def _joined(self, field: Field, tokens: Sequence[str]) -> str:
        return field.separator.join(tokens)

    # ---- inputs ---------------------------------------------------------------------------------------------------

    def _inputs(self, signature: str, rows: Sequence[Row]) -> dict[str, Any]:
        if signature == "serialized":
            return {"examples": [self._example(row) for row in rows]}
        inputs: dict[str, Any] = {}
        for column in self._columns:
            values = [row[column.field.name] for row in rows]
            if not column.field.is_list:
                inputs[column.name] = [_sent(column, value) for value in values]
            elif signature == "score_lists":
                lists = [self._values(column, value) for value in values]
                width = max(1, *map(len, lists))
                inputs[column.name] = [[*held, *[column.missing] * (width - len(held))] for held in lists]
                inputs[column.name + LENGTH] = [len(held) for held in lists]
            else:
                inputs[column.name] = [value or "" for value in values]
        return inputs

    def _values(self, column: InputColumn, text: str | None) -> list[Any]:
        return [_sent(column, token) for token in text.split(column.field.separator)] if text else []

    def _example(self, row: Row) -> dict[str, str]:
        features = {}
        for column in self._columns:
            value = row[column.field.name]
            if value is None:
                continue
            values = self._values(column, value) if column.field.is_list else [_sent(column, value)]
            if column.field.is_list and column.type == "text" and len(values) > 1:
                values = [value]  # one text; single values show the other way
            features[column.field.name] = _feature(column, values)
        return example_input(features)


def _number(column: InputColumn, place: float) -> float:
    """A number that float32 can hold, at a place between the smallest (0) and the largest (1) of the training."""
    field = column.field
    if field.scaling == "quantile" and len(field.quantiles) > 1:
        span = field.quantiles[-1] - field.quantiles[0]
        known = np.interp(place, np.linspace(0.0, 1.0, len(field.quantiles)), field.quantiles)
        value = float(known) + max(0.0, place - 1.0) * span
    else:
        value = field.low + place * ((field.high - field.low) or 1.0)
    return float(round(value)) if column.type == "int64" else float(np.float32(value))


def _sent(column: InputColumn, value: Any) -> Any:
    """A value of a row, or of a list of it, as clients send it."""
    if column.type == "text":
        return column.missing if value is None else value
    try:
        return int(float(value)) if column.type == "int64" else float(value)
    except (TypeError, ValueError):  # None, and unknown values
        return column.missing


def _feature(column: InputColumn, values: list[Any]) -> tf.train.Feature:
    if column.type == "text":
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in values]))
    if column.type == "int64":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
