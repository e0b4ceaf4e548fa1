"""A click model as TensorFlow Serving holds it: raw columns in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfrec.config.click_export_config import ClickExportConfig
from tfrec.data.impressions.fields import FieldEncoder
from tfrec.evaluation.click_metrics import balanced_shift
from tfrec.evaluation.score_impressions import logits_function
from tfrec.models.impression_model import ImpressionModel
from tfrec.serving.clicks.graph_encoder import GraphEncoder
from tfrec.serving.clicks.input_types import InputColumn, input_columns
from tfrec.serving.client.click_inputs import LENGTH
from tfrec.serving.signature import Signature, Specs, Tensors, traced
from tfrec.serving.untracked import Untracked

DEFAULT = "serving_default"
Raw = Mapping[str, "tf.Tensor | tf.RaggedTensor"]


class ServedClickModel(tf.Module):
    """Signatures around a trained click model.

    Columns are sent as they stand in the log, under their names. Missing are the empty text, not-a-number, and -2^63
    where a column is sent as int64. Whatever `tfrec.predict` does with a row is done in the graph.

    Args:
        model: A trained model. Its Keras object is not part of the SavedModel, only its weights and what it computes.
        encoder: Its fitted features.
        config: Calibration, and types of inputs.
        positive_weight: Weight that clicks had in the loss.

    Attributes:
        shift: What is added to logits.

    Raises:
        ConfigError: A type does not suit a column.
    """

    def __init__(
        self,
        model: ImpressionModel,
        encoder: FieldEncoder,
        config: ClickExportConfig | None = None,
        *,
        positive_weight: float = 1.0,
    ) -> None:
        super().__init__(name="served")
        config = config or ClickExportConfig()
        self._weights = [variable.value for variable in model.weights]
        self._logits = Untracked(logits_function(model))  # one graph for all signatures
        balanced = config.calibrate == "balanced"
        self.shift = balanced_shift(model.click_rate, positive_weight) if balanced else 0.0
        self.encoder = GraphEncoder(encoder, input_columns(encoder, config.types), model.max_length)

    @property
    def columns(self) -> tuple[InputColumn, ...]:
        """The inputs."""
        return self.encoder.columns

    # ---- signatures -----------------------------------------------------------------------------------------------

    def score(self, inputs: Tensors) -> Tensors:
        """The probability of a click for every row.

        Args:
            inputs: By input: text, int64 or float64 `[batch]`; lists as text in which the separator stands between
                values.

        Returns:
            `probability` and `logit`, float32 `[batch]`; the logit is that of the probability.
        """
        raw = {}
        for column in self.columns:
            value = inputs[column.name]
            raw[column.field.name] = self.encoder.split(column.field, value) if column.field.is_list else value
        return self._answer(raw)

    def score_lists(self, inputs: Tensors) -> Tensors:
        """As `score`, with lists as values `[batch, n]`, padded with anything, and `NAME_length` int32 `[batch]`."""
        raw: dict[str, Any] = {}
        for column in self.columns:
            value = inputs[column.name]
            if column.field.is_list:
                length = tf.clip_by_value(inputs[column.name + LENGTH], 0, tf.shape(value)[1])
                value = tf.RaggedTensor.from_tensor(value, length)
            raw[column.field.name] = value
        return self._answer(raw)

    def serialized(self, examples: tf.Tensor) -> Tensors:
        """As `score`, from tf.Examples whose features are the columns; features that are left out or empty are missing.

        Args:
            examples: string `[batch]`. Text is held as bytes, numbers as floats (float32) or int64. A list is held in
                one text, or value by value.
        """
        kinds = {column.field.name: tf.float32 if column.type == "float" else column.dtype for column in self.columns}
        parsed = tf.io.parse_example(examples, {name: tf.io.RaggedFeature(kind) for name, kind in kinds.items()})
        raw = {}
        for column in self.columns:
            values = parsed[column.field.name]
            if not column.field.is_list:
                raw[column.field.name] = values.to_tensor(column.missing, shape=[None, 1])[:, 0]
            elif column.type == "text":
                texts = tf.strings.reduce_join(values, axis=1, separator=column.field.separator)
                raw[column.field.name] = self.encoder.split(column.field, texts)
            else:
                raw[column.field.name] = values
        return self._answer(raw)

    def signatures(self) -> dict[str, Any]:
        """Returns the traced signatures by name, as `tf.saved_model.save` takes them."""
        graphs = {name: traced(*found) for name, found in self._specs().items()}
        return {DEFAULT: graphs["score"], **graphs}

    def _specs(self) -> dict[str, Signature]:
        rows: Specs = {}
        lists: Specs = {}
        for column in self.columns:
            if column.field.is_list:
                rows[column.name] = tf.TensorSpec([None], tf.string)
                lists[column.name] = tf.TensorSpec([None, None], column.dtype)
                lists[column.name + LENGTH] = tf.TensorSpec([None], tf.int32)
            else:
                rows[column.name] = lists[column.name] = tf.TensorSpec([None], column.dtype)

        def score(**inputs: tf.Tensor) -> Tensors:
            return self.score(inputs)

        def score_lists(**inputs: tf.Tensor) -> Tensors:
            return self.score_lists(inputs)

        found: dict[str, Signature] = {"score": (score, rows)}
        if lists.keys() != rows.keys():
            found["score_lists"] = (score_lists, lists)
        found["serialized"] = (self.serialized, {"examples": tf.TensorSpec([None], tf.string)})
        return found

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _answer(self, raw: Raw) -> Tensors:
        logits = tf.cast(self._logits.value(self.encoder(raw)), tf.float64) + self.shift
        return {"probability": tf.cast(tf.sigmoid(logits), tf.float32), "logit": tf.cast(logits, tf.float32)}
