"""What optimisers share whose step touches only the rows that were looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import keras
import tensorflow as tf

from tfrec.errors import ConfigError
from tfrec.optimizers.deduplicate import DistinctSlices, deduplicate

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices


class RowSparseOptimizer(keras.optimizers.Optimizer):
    """Keras optimiser that sums repeated rows, and leaves absent rows and their slots alone.

    Subclasses name their slots and define `direction`, the gradient after scaling, or override both updates. Around
    it this class applies, in GRU4Rec's order, the cap of the gradient norm, L2 (weights of the touched rows shrink by
    `learning_rate * l2`), and classical momentum on the scaled step: `v = momentum v - lr direction`, `w += v`.

    Args:
        learning_rate: Step size or schedule.
        momentum: Factor of the previous velocity, in [0, 1); 0 keeps no velocity.
        l2: Factor of the weight decay; 0 for none.
        row_l2: The same of looked-up rows alone, besides `l2`.
        gradient_cap: Largest norm of all gradients together; larger ones are scaled down. 0 for none. Not under a
            strategy of several replicas, each of which would cap its own share before the sum.
    """

    slot_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: float,
        *,
        momentum: float = 0.0,
        l2: float = 0.0,
        row_l2: float = 0.0,
        gradient_cap: float = 0.0,
        name: str = "row_sparse",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.l2, self.row_l2 = l2, row_l2
        self.gradient_cap = gradient_cap

    def direction(
        self, gradient: tf.Tensor, slots: Sequence[tf.Tensor], step: tf.Tensor
    ) -> tuple[tf.Tensor, Sequence[tf.Tensor]]:
        """Scales a gradient.

        Args:
            gradient: Of a whole variable, or of the rows that were looked up.
            slots: Values of the slots for the same elements, in the order of `slot_names`.
            step: Number of this update, from 1, float scalar.

        Returns:
            The scaled gradient, and the new values of the slots.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `direction`.")

    def slot_start(self, slot: str) -> float:
        """Returns the value that a slot starts with."""
        return 0.0

    def build(self, variables: list[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self.slots = {
            slot: [
                self.add_variable_from_reference(
                    variable, name=slot, initializer=keras.initializers.Constant(self.slot_start(slot))
                )
                for variable in variables
            ]
            for slot in self.slot_names
        }
        self.velocities = (
            [self.add_variable_from_reference(variable, name="velocity") for variable in variables]
            if self.momentum
            else []
        )

    def apply(self, grads: Sequence[Gradient], trainable_variables: Sequence[keras.Variable] | None = None) -> Any:
        """Applies gradients; see `keras.optimizers.Optimizer.apply`."""
        if self.gradient_cap:
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            if replicas > 1:
                raise ConfigError(
                    f"`gradient_cap={self.gradient_cap}` caps the norm on one device, not the sum over {replicas} "
                    "replicas.",
                    remedy="Set `gradient_cap=0`, or train on one device.",
                )
            clipped, _ = tf.clip_by_global_norm([_summed(gradient) for gradient in grads], self.gradient_cap)
            grads = [_distinct(gradient) for gradient in clipped]
        return super().apply(grads, trainable_variables)

    def update_step(self, gradient: Gradient, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        weight: tf.Variable = variable if isinstance(variable, tf.Variable) else variable.value
        slots: list[tf.Variable] = [self.slots[slot][index].value for slot in self.slot_names]
        velocity: tf.Variable | None = self.velocities[index].value if self.momentum else None
        rate = tf.cast(learning_rate, weight.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            rows, values = deduplicate(gradient)
            current = gradient.looked_up if isinstance(gradient, DistinctSlices) else None
            if shrink := self.l2 + self.row_l2:
                current = None  # the rows shrink before the step
                tf.raw_ops.ResourceScatterMul(resource=weight.handle, indices=rows, updates=1.0 - rate * shrink)
            self.update_rows(weight, slots, velocity, rows, tf.cast(values, weight.dtype), rate, current)
        else:
            if self.l2:
                weight.assign(weight * (1.0 - rate * self.l2))
            self.update_all(weight, slots, velocity, tf.cast(gradient, weight.dtype), rate)

    def update_rows(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        velocity: tf.Variable | None,
        rows: tf.Tensor,
        values: tf.Tensor,
        rate: tf.Tensor,
        current: tf.Tensor | None = None,
    ) -> None:
        """Updates distinct rows: rows int `[unique]`, values float `[unique, ...]`, current weights or None."""
        direction, updated = self.direction(values, [tf.gather(slot, rows) for slot in slots], self._number(weight))
        for slot, value in zip(slots, updated, strict=True):
            slot.scatter_update(tf.IndexedSlices(value, rows))
        step = -rate * direction
        if velocity is not None:
            step += self.momentum * tf.gather(velocity, rows)
            velocity.scatter_update(tf.IndexedSlices(step, rows))
        # Gather, add and write: TensorFlow's scatter-add and sparse-apply kernels are several times slower in 2.21.
        if current is None:
            current = tf.gather(weight, rows)  # [unique, ...]
        weight.scatter_update(tf.IndexedSlices(current + step, rows))

    def update_all(
        self,
        weight: tf.Variable,
        slots: Sequence[tf.Variable],
        velocity: tf.Variable | None,
        gradient: tf.Tensor,
        rate: tf.Tensor,
    ) -> None:
        """Updates a whole variable."""
        direction, updated = self.direction(gradient, list(slots), self._number(weight))
        for slot, value in zip(slots, updated, strict=True):
            slot.assign(value)
        step = -rate * direction
        if velocity is not None:
            step += self.momentum * velocity
            velocity.assign(step)
        weight.assign_add(step)

    def _number(self, weight: tf.Variable) -> tf.Tensor:
        return tf.cast(self.iterations.value, weight.dtype) + 1.0

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "l2": self.l2,
            "row_l2": self.row_l2,
            "gradient_cap": self.gradient_cap,
        }


def _summed(gradient: Gradient) -> Gradient:
    if isinstance(gradient, tf.IndexedSlices):
        rows, values = deduplicate(gradient)
        return tf.IndexedSlices(values, rows)
    return gradient


def _distinct(gradient: Gradient) -> Gradient:
    return DistinctSlices(gradient.values, gradient.indices) if isinstance(gradient, tf.IndexedSlices) else gradient
