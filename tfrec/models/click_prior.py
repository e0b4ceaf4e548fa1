"""The click rate for everyone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.config.click_model_config import PriorConfig
from tfrec.data.impressions.fields import FieldSet
from tfrec.models.impression_model import Batch, ImpressionModel, constant_logit
from tfrec.registry import register_model


@register_model("prior")
class ClickPrior(ImpressionModel):
    """The same logit for every row, from the click rate of the training rows: AUC 0.5, and the log-loss to beat.

    Training moves its only weight, from where it already is.

    Args: as of `ImpressionModel`.
    """

    config_class = PriorConfig

    def __init__(self, config: Any, fields: FieldSet, **kwargs: Any) -> None:
        super().__init__(config, fields, **kwargs)
        self.logit = self.add_weight(shape=(), initializer="zeros", name="logit")
        self.logit.assign(constant_logit(self.click_rate))
        self.built = True

    def logits(self, batch: Batch, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        rows = next(iter(batch.values()))
        return tf.fill([tf.shape(rows)[0]], tf.convert_to_tensor(self.logit.value))
