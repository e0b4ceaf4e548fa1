"""Adam that touches only the rows that were looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrec.optimizers.row_sparse_optimizer import RowSparseOptimizer


@keras.saving.register_keras_serializable(package="tfrec")
class RowSparseAdam(RowSparseOptimizer):
    """Adam with both moments kept per row ("lazy"): the moments of an absent row do not decay.

    `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, direction `(m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.

    Args:
        learning_rate: Step size or schedule.
        beta_1: Factor of the first moment.
        beta_2: Factor of the second moment.
        epsilon: Added to the root.
        **kwargs: `momentum`, `l2`, `gradient_cap`, see `RowSparseOptimizer`.

    Reference: Kingma and Ba, arXiv 1412.6980; GRU4Rec `adapt=adam`.
    Differences: the official sparse update squares the gradient in the first moment, which is corrected here.
    """

    slot_names: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")

    def __init__(
        self,
        learning_rate: float = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **{"name": "row_sparse_adam", **kwargs})
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def direction(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], step: tf.Tensor
    ) -> tuple[tf.Tensor, Sequence[tf.Tensor]]:
        first = self.beta_1 * slots[0] + (1.0 - self.beta_1) * gradient
        second = self.beta_2 * slots[1] + (1.0 - self.beta_2) * tf.square(gradient)
        unbiased_first = first / (1.0 - tf.pow(self.beta_1, step))
        unbiased_second = second / (1.0 - tf.pow(self.beta_2, step))
        return unbiased_first / (tf.sqrt(unbiased_second) + self.epsilon), [first, second]

    def update_all(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        velocity: tf.Variable | None,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        if velocity is not None:
            super().update_all(weight, slots, velocity, gradient, rate)
            return
        # One pass over memory instead of some fifteen: with full softmax, the whole item table is updated here.
        step = self._number(weight)
        second_power = tf.pow(self.beta_2, step)
        tf.raw_ops.ResourceApplyAdam(
            var=weight.handle,
            m=slots[0].handle,
            v=slots[1].handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=second_power,
            lr=rate,
            beta1=tf.cast(self.beta_1, weight.dtype),
            beta2=tf.cast(self.beta_2, weight.dtype),
            # TensorFlow adds it to the root of the biased moment.
            epsilon=self.epsilon * tf.sqrt(1.0 - second_power),
            grad=gradient,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
