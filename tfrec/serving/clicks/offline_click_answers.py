"""What a click model itself says of raw rows, by the way that `tfrec.predict` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfrec.data.impressions.fields import FieldEncoder
from tfrec.data.impressions.impression_batches import batch_of_columns
from tfrec.evaluation.click_metrics import probabilities
from tfrec.evaluation.score_impressions import logits_function
from tfrec.models.impression_model import ImpressionModel

Row = Mapping[str, Any]
"""A row of a log by column: text, a number, or None where missing; lists as text."""


class OfflineClickAnswers:
    """Answers as an export must give them.

    Args:
        model: A trained model.
        encoder: Its fitted features.
        shift: What is added to logits.
    """

    def __init__(self, model: ImpressionModel, encoder: FieldEncoder, shift: float = 0.0) -> None:
        self.model = model
        self.encoder = encoder
        self.shift = shift

    def answer(self, rows: Sequence[Row]) -> dict[str, list[float]]:
        """Returns `probability` and `logit` of every row."""
        fields = self.encoder.fields
        types = {field.name: pa.float64() if field.kind == "number" else pa.string() for field in fields.fields}
        columns = [pa.array([row[name] for row in rows], kind) for name, kind in types.items()]
        encoded = self.encoder.encode(pa.RecordBatch.from_arrays(columns, list(types)), file="golden requests")
        batch = batch_of_columns(encoded, fields, self.model.max_length)
        logits = logits_function(self.model)(batch).numpy().astype(np.float64) + self.shift
        found = {"probability": probabilities(logits), "logit": logits}
        return {name: values.astype(np.float32).tolist() for name, values in found.items()}
