"""What keeps the experts of a mixture equally busy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import ConfigError, did_you_mean

BALANCE_METHODS = ("usage", "bias", "auxiliary", "none")
_LEAST_SHARE = 1e-5


@keras.saving.register_keras_serializable(package="tfrec")
class ExpertBalance(keras.layers.Layer):
    """Counts how often each expert is selected, and changes the selection accordingly.

    * `usage`: while training, scores are divided by the expert's share in the selections of the epoch before, for
      selection and weights alike. The share is fixed for a whole epoch and applied in full, so it overshoots: an expert
      that was idle attracts nearly everything in the epoch after.
    * `bias`: a bias per expert is added for the selection only, in training and inference alike. After every batch that
      it routes in training it moves by `speed * clip(1 - experts * share, -1, 1)`, where `share` is a running average
      over these batches. A mixture that two towers share routes twice in every step.
    * `auxiliary`: the selection is left alone; `loss` is added to the objective.
    * `none`: only counts.

    Args:
        experts: Number of experts.
        method: One of the above.
        speed: Step of the bias.
        decay: Share of the old value in the running average, in [0, 1).

    Raises:
        ConfigError: Unknown method.

    Reference: usage: zy-hang/LongTermInterestModel; bias: DeepSeek-V3, arXiv 2412.19437 section 2.1.2; auxiliary:
        Switch Transformer, arXiv 2101.03961 section 2.2.
    Differences: the bias follows a running average in proportion, where DeepSeek-V3 takes the sign in each step: it
        comes to rest. Counts start anew with every epoch and are saved, so that a resumed run goes on counting.
    """

    def __init__(
        self, experts: int, method: str = "bias", *, speed: float = 0.01, decay: float = 0.9, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if method not in BALANCE_METHODS:
            raise ConfigError(f"Unknown balancing `{method}`.", remedy=did_you_mean(method, BALANCE_METHODS))
        self.experts = experts
        self.method = method
        self.speed = speed
        self.decay = decay

    def build(self, input_shape: object = None) -> None:
        def state(name: str, start: float, dtype: str = "float32") -> Any:
            initializer = keras.initializers.Constant(start)
            return self.add_weight(
                shape=(self.experts,),
                initializer=initializer,
                dtype=dtype,
                trainable=False,
                autocast=False,
                name=name,
            )

        self.counts = state("counts", 0, "int64")
        self.shares = state("shares", 1.0)  # what `usage` divides by: no effect in the first epoch
        self.average = state("average", 1.0 / self.experts)
        self.selection_bias = state("selection_bias", 0.0)
        self.built = True

    def adjusted(self, scores: tf.Tensor, *, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scores to select by and the scores to weigh by.

        Args:
            scores: float `[tokens, experts]`.
            training: Whether this is a training step.

        Returns:
            Twice float `[tokens, experts]`.
        """
        if self.method == "usage" and training:
            divided = scores / self.shares.value
            return divided, divided
        if self.method == "bias":
            return scores + self.selection_bias.value, scores
        return scores, scores

    def loss(self, scores: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        """Returns `experts * sum(share of selections * mean share of scores)`: 1 when balanced; a scalar.

        Args:
            scores: float `[tokens, experts]`.
            counts: Selections of each expert, int32 `[experts]`.
        """
        tokens = tf.maximum(tf.cast(tf.shape(scores)[0], tf.float32), 1.0)
        probability = tf.math.divide_no_nan(scores, tf.reduce_sum(scores, axis=-1, keepdims=True))
        return self.experts * tf.reduce_sum(_shares(counts) * tf.reduce_sum(probability, axis=0) / tokens)

    def observe(self, counts: tf.Tensor) -> None:
        """Takes the selections of a training step into account, int32 `[experts]`."""
        self.counts.assign_add(tf.cast(counts, tf.int64))
        if self.method != "bias":
            return
        average = self.decay * self.average.value + (1.0 - self.decay) * _shares(counts)
        pull = tf.clip_by_value(1.0 - self.experts * average, -1.0, 1.0)
        anything = tf.cast(tf.reduce_sum(counts) > 0, tf.float32)
        self.average.assign_add(anything * (average - self.average.value))
        self.selection_bias.assign_add(anything * self.speed * pull)

    def finish_epoch(self) -> NDArray[np.float64]:
        """Returns the share of each expert in the selections of the epoch `[experts]`, and starts the next one."""
        counts = np.asarray(self.counts.value, np.float64)
        shares: NDArray[np.float64] = counts / max(counts.sum(), 1.0)
        self.counts.assign(np.zeros(self.experts, np.int64))
        if self.method == "usage" and counts.any():
            self.shares.assign(np.maximum(shares, _LEAST_SHARE).astype(np.float32))
        return shares

    def get_config(self) -> dict[str, object]:
        settings = {"experts": self.experts, "method": self.method, "speed": self.speed, "decay": self.decay}
        return {**super().get_config(), **settings}


def _shares(counts: tf.Tensor) -> tf.Tensor:
    selections = tf.cast(counts, tf.float32)
    return tf.math.divide_no_nan(selections, tf.reduce_sum(selections))
