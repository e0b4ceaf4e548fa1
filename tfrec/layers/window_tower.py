"""Tower that turns a window of events into one unit vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.expert_block import ExpertBlock
from tfrec.layers.fan_in_uniform import fan_in_uniform
from tfrec.layers.initializers import GateInitializer
from tfrec.seeds import derive_seed

_SHORTEST = 1e-12


@keras.saving.register_keras_serializable(package="tfrec")
class WindowTower(keras.layers.Layer):
    """Class token and events through blocks; what is read out goes through a dense layer and a norm to length 1.

    Args:
        blocks: The blocks, in order.
        width: Width of an event.
        dim: Width of the result.
        readout: `cls`: the state of the class token; `mean`: the mean over the states of the events.
        epsilon: Epsilon of the layer norms.
        seed: Seed of the initial weights.
    """

    def __init__(
        self,
        blocks: Sequence[ExpertBlock],
        *,
        width: int,
        dim: int,
        readout: str = "cls",
        epsilon: float = 1e-5,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.blocks = list(blocks)
        self.width = width
        self.dim = dim
        self.readout = readout
        self.epsilon = epsilon
        self.seed = seed
        self.state_norm = keras.layers.LayerNormalization(epsilon=epsilon, name="state_norm")
        self.projection = keras.layers.Dense(
            dim,
            kernel_initializer=fan_in_uniform(width, derive_seed(seed, "projection")),
            bias_initializer=fan_in_uniform(width, derive_seed(seed, "projection bias")),
            name="projection",
        )
        self.vector_norm = keras.layers.LayerNormalization(epsilon=epsilon, name="vector_norm")

    def build(self, input_shape: object = None) -> None:
        normal = GateInitializer(1, bound=1.0, normal=True, seed=derive_seed(self.seed, "class token"))
        self.class_token = self.add_weight(shape=(self.width,), initializer=normal, name="class_token")
        for block in self.blocks:
            block.build()
        self.state_norm.build((None, None, self.width))
        self.projection.build((None, self.width))
        self.vector_norm.build((None, self.dim))
        self.built = True

    def call(
        self,
        events: tf.Tensor,
        real: tf.Tensor | None = None,
        *,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Encodes windows.

        Args:
            events: float `[batch, window, width]`.
            real: bool `[batch, window]`, False at padding; None: padding is taken for events.
            training: Whether this is a training step.
            dropout_seed: int `[2]`; None means no drop-out.

        Returns:
            Unit vectors float `[batch, dim]`, and the loss of the balance, summed over blocks.
        """
        batch = tf.shape(events)[0]
        token = tf.broadcast_to(self.class_token.value, [batch, 1, self.width])
        states = tf.concat([token, events], axis=1)  # [batch, 1 + window, width]
        if real is not None:
            real = tf.concat([tf.ones([batch, 1], tf.bool), real], axis=1)
        loss = tf.constant(0.0)
        for block in self.blocks:
            states, own = block(states, real, training=training, dropout_seed=dropout_seed)
            loss += own
        states = self.state_norm(states)
        vector = self.vector_norm(self.projection(self._read(states, real)))  # [batch, dim]
        return vector / tf.maximum(tf.norm(vector, axis=-1, keepdims=True), _SHORTEST), loss

    def _read(self, states: tf.Tensor, real: tf.Tensor | None) -> tf.Tensor:
        if self.readout == "cls":
            return states[:, 0]
        if real is None:
            return tf.reduce_mean(states[:, 1:], axis=1)
        mask = tf.cast(real[:, 1:], states.dtype)[:, :, tf.newaxis]  # [batch, window, 1]
        total = tf.reduce_sum(tf.where(mask > 0, states[:, 1:], 0.0), axis=1)
        return total / tf.maximum(tf.reduce_sum(mask, axis=1), 1.0)

    def get_config(self) -> dict[str, object]:
        names = ("width", "dim", "readout", "epsilon", "seed")
        blocks = [keras.saving.serialize_keras_object(block) for block in self.blocks]
        return {**super().get_config(), "blocks": blocks, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WindowTower:
        blocks = [keras.saving.deserialize_keras_object(block) for block in config.pop("blocks")]
        return cls(blocks, **config)
